"""Robot files in which a hazard is near where the arm moves; each differs little from the real one.

The arm circles with joint 1 and the last joint, so hand and tool centre point stay at the height
of the home posture: 0.487 m the latter, 0.484 m the tips of the fingers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from harness import ROBOT_FILE

Parameters = dict[str, Any]
STAND_IN = "/stand_in"


def _same(parameters: Parameters) -> None:
    """Change nothing."""


def _near(parameters: Parameters) -> None:
    """Put a shelf 35 mm below the fingers, a ceiling 20 mm above the tool centre point."""
    parameters["collision"]["names"].append("shelf")
    parameters["collision"]["shelf"] = {
        "kind": "box",
        "center": [0.36, 0.0, 0.439],
        "size": [0.42, 0.9, 0.02],
    }
    parameters["workspace"]["names"].append("ceiling")
    parameters["workspace"]["ceiling"] = {
        "kind": "inside",
        "frames": ["tcp"],
        "low": [-0.6, -0.7, -0.1],
        "high": [0.9, 0.7, 0.507],
    }


def _keep_out(parameters: Parameters) -> None:
    """Forbid the tool centre point what is more than 20 mm below it."""
    parameters["workspace"]["names"].append("below")
    parameters["workspace"]["below"] = {
        "kind": "keep_out",
        "frames": ["tcp"],
        "low": [-0.2, -0.6, 0.2],
        "high": [0.7, 0.6, 0.467],
    }


def _strict(parameters: Parameters) -> None:
    """Let joint 5 stand 5 mrad from its limit; be slow, and hold, with low confidence."""
    parameters["joint_limits"]["joint5"]["max_position"] = 0.005
    parameters["safety"].update(slow_scale=0.1, low_confidence=0.6, hold_confidence=0.3)


def _stand_in(parameters: Parameters) -> None:
    """Let another node say what the controller is set to: it can go while the arm is there."""
    parameters["controller"]["node"] = STAND_IN


@dataclass(frozen=True)
class Variant:
    """A robot file, and the posture [rad] that the arm takes before it circles."""

    change: Callable[[Parameters], None] = _same
    posture: dict[str, float] = field(default_factory=dict)
    stand_in: bool = False

    def written(self, folder: Path) -> Path:
        """Return the robot file, written into ``folder`` when it is not the real one."""
        if self.change is _same:
            return ROBOT_FILE
        document = yaml.safe_load(ROBOT_FILE.read_text(encoding="utf-8"))
        self.change(document["/**"]["ros__parameters"])
        file = folder / "sim_arm.yaml"
        file.write_text(yaml.safe_dump(document), encoding="utf-8")
        return file


VARIANTS = {
    "": Variant(),
    "near": Variant(_near),
    "keep_out": Variant(_keep_out),
    # Folded, so that the fingers are 42 mm from link 1.
    "folded": Variant(posture={"joint4": -2.762, "joint6": 0.959}),
    "strict": Variant(_strict),
    "stand_in": Variant(_stand_in, stand_in=True),
}
