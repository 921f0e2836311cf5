"""core/ never imports rclpy: it runs, and is tested, without ROS."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import vla_bringup.core

CODE = """
import importlib, pkgutil, sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("rclpy", "launch", "launch_ros", "vla_msgs"):
            raise ImportError(f"core must not import {name}")
sys.meta_path.insert(0, Block())
import vla_bringup.core
for module in pkgutil.iter_modules(vla_bringup.core.__path__, "vla_bringup.core."):
    importlib.import_module(module.name)
"""


def test_every_core_module_loads_without_ros() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert len(list(Path(vla_bringup.core.__path__[0]).glob("*.py"))) > 5
