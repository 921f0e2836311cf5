"""The core never imports rclpy: it loads where ROS is missing."""

import subprocess
import sys
from pathlib import Path

CODE = """
import builtins, importlib, pkgutil
real = builtins.__import__
def guarded(name, *args, **kwargs):
    assert name.split('.')[0] not in ('rclpy', 'vla_msgs', 'sensor_msgs', 'std_srvs'), name
    return real(name, *args, **kwargs)
builtins.__import__ = guarded
import vla_safety.core as core
names = [m.name for m in pkgutil.iter_modules(core.__path__)]
for name in names:
    importlib.import_module('vla_safety.core.' + name)
importlib.import_module('vla_safety.prove')
print(len(names))
"""


def test_every_core_module_loads_without_ros():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    import vla_safety.core

    found = len(list(Path(vla_safety.core.__path__[0]).glob("[a-z]*.py")))
    assert int(done.stdout) == found
