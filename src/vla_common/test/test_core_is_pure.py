"""No core module of any package may import ROS: the import is blocked and all are loaded."""

import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]

PROGRAM = """
import importlib, pathlib, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("rclpy", "launch", "launch_ros") or name.endswith("_msgs"):
            raise ImportError(f"core imports {name}")
        return None

sys.meta_path.insert(0, Blocker())
source = pathlib.Path(sys.argv[1])
for package in source.iterdir():
    sys.path.insert(0, str(package))
loaded = 0
for file in sorted(source.glob("vla_*/vla_*/core/**/*.py")):
    parts = file.relative_to(source).with_suffix("").parts[1:]
    importlib.import_module(".".join(parts))
    loaded += 1
print(loaded)
"""


def test_core_modules_load_without_ros():
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(SOURCE)], capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stderr
    assert int(result.stdout.split()[-1]) > 20
