from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
SIM_ARM = ROOT / "config" / "robots" / "sim_arm.yaml"
SIM_MODELS = ROOT / "src" / "vla_sim"


def share_of(package: str) -> Path:
    """Stands for ament_index: the source tree has the same files."""
    if package == "vla_bringup":
        return ROOT
    if package == "vla_sim":
        return SIM_MODELS / "vla_sim"
    raise LookupError(package)


class BundleFolder:
    """A bundle whose files are not graphs: nothing before the nodes reads into them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True)
        cameras = yaml.safe_load(SIM_ARM.read_text())["/**"]["ros__parameters"]["cameras"]
        self.manifest = {
            "format": 1,
            "name": "reach",
            "version": "1.0.0",
            "description": "test",
            "cameras": [
                {
                    "name": name,
                    "width": cameras[name]["width"],
                    "height": cameras[name]["height"],
                    "encoding": "rgb8",
                }
                for name in cameras["names"]
            ],
            "joints": [*(f"joint{i}" for i in range(1, 8)), "gripper"],
            "horizon": 16,
            "step_dt": 0.05,
            "tokenizer": {"file": "tokenizer.json", "max_length": 16},
            "features": {"tokens": 4, "width": 3},
            "precision": "fp32",
            "tolerance": {"atol": 1e-3},
            "files": {},
        }
        for name in ("vision.onnx", "policy.onnx", "tokenizer.json", "golden.npz"):
            (path / name).write_bytes(name.encode())
            self.manifest["files"][name] = hashlib.sha256(name.encode()).hexdigest()
        self.write()

    def write(self) -> None:
        (self.path / "bundle.yaml").write_text(yaml.safe_dump(self.manifest, sort_keys=False))


class RobotFile:
    """A copy of the shipped robot file that a test may spoil."""

    def __init__(self, path: Path) -> None:
        self.path = path
        shutil.copy(SIM_ARM, path)
        self.document = yaml.safe_load(path.read_text())
        self.values = self.document["/**"]["ros__parameters"]

    def write(self) -> str:
        self.path.write_text(yaml.safe_dump(self.document, sort_keys=False))
        return str(self.path)


@pytest.fixture
def bundle(tmp_path: Path) -> BundleFolder:
    return BundleFolder(tmp_path / "bundles" / "reach")


@pytest.fixture
def robot(tmp_path: Path) -> RobotFile:
    return RobotFile(tmp_path / "my_arm.yaml")
