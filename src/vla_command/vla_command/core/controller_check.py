"""What is asked of the controller that moves the arm, judged by its parameters.

The parameters are those of ros2_controllers' joint_trajectory_controller and
forward_command_controller (github.com/ros-controls/ros2_controllers, their
``*_parameters.yaml`` and changelogs, read 2026-11). A parameter that is not there says nothing
about the controller, so one that decides whether it is a guard must be there. Every version that
can be had has them: ``cmd_timeout`` came with 3.16.0, in Humble with 2.30.0 (2023-12-20); Humble
knows ``interpolate_from_desired_state`` as ``open_loop_control``. Only ``interpolation_method``
and ``constraints.goal_time`` may be missing: then they have their default.
"""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Mapping
from typing import Any

TRAJECTORY = (
    "joints",
    "command_interfaces",
    "interpolation_method",
    "interpolate_from_desired_state",
    "open_loop_control",  # its name in Humble
    "cmd_timeout",
    "constraints.goal_time",
)
FORWARD = ("joints", "interface_name")
PARAMETERS: dict[str, tuple[str, ...]] = {
    "joint_trajectory": TRAJECTORY,
    "forward_command": FORWARD,
    "joint_state": (),
}
"""What is asked for, by ``controller.type``."""


def _is_names(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_switch(value: Any) -> bool:
    return isinstance(value, bool)


TYPES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "joints": (_is_names, "a list of texts"),
    "command_interfaces": (_is_names, "a list of texts"),
    "interpolation_method": (_is_text, "a text"),
    "interpolate_from_desired_state": (_is_switch, "true or false"),
    "open_loop_control": (_is_switch, "true or false"),
    "cmd_timeout": (_is_number, "a number"),
    "constraints.goal_time": (_is_number, "a number"),
    "interface_name": (_is_text, "a text"),
}
"""What each parameter must be, where the controller has it, and how that is said."""


def node_of(topic: str, named: str) -> str:
    """Return the full name of the controller's node: ``named``, else what the topic lies under."""
    name = named or topic.rsplit("/", 1)[0]
    return f"/{name.strip('/')}"


def _mistyped(kind: str, values: Mapping[str, Any]) -> list[str]:
    wrong = []
    for key in PARAMETERS[kind]:
        value, (fits, name) = values.get(key), TYPES[key]
        if value is not None and not fits(value):
            wrong.append(f"{key} is {reprlib.repr(value)}; it must be {name}")
    return wrong


def _joints(values: Mapping[str, Any], joints: tuple[str, ...], ordered: bool) -> list[str]:
    found = tuple(values.get("joints") or ())
    if not found:
        return ["has no parameter joints: is it a controller? else name it in controller.node"]
    if found == joints or (not ordered and sorted(found) == sorted(joints)):
        return []
    order = ", in this order" if ordered else ""
    return [f"joints is {list(found)}; set {list(joints)} (robot.joints){order}"]


def _missing(name: str, why: str) -> str:
    return (
        f"has no parameter {name}: {why}; for a controller of another kind that you have checked "
        "yourself there is controller.check_parameters: false"
    )


def _desired(values: Mapping[str, Any]) -> list[str]:
    """Without it each streamed trajectory begins at the measured position."""
    new, old = (values.get(k) for k in ("interpolate_from_desired_state", "open_loop_control"))
    if new is None and old is None:
        return [_missing("interpolate_from_desired_state", "in Humble it is open_loop_control")]
    if new or old:
        return []
    name = "open_loop_control" if new is None else "interpolate_from_desired_state"
    return [f"{name} is false; set it true"]


def _timeout(values: Mapping[str, Any]) -> list[str]:
    timeout, goal = values.get("cmd_timeout"), values.get("constraints.goal_time") or 0.0
    if timeout is None:
        return [_missing("cmd_timeout", "ros2_controllers has it from 3.16.0 on, in Humble 2.30.0")]
    if timeout > max(0.0, goal):
        return []
    least = f"above constraints.goal_time, {goal:g}" if goal > 0.0 else "above 0, such as 0.5"
    return [f"cmd_timeout is {timeout:g} (off); set it {least}"]


def _trajectory(values: Mapping[str, Any], joints: tuple[str, ...]) -> list[str]:
    wrong = _joints(values, joints, ordered=False)
    interfaces = values.get("command_interfaces")
    if interfaces is None:
        wrong.append(_missing("command_interfaces", "every joint_trajectory_controller has it"))
    elif list(interfaces) != ["position"]:
        wrong.append(f"command_interfaces is {list(interfaces)}; set ['position']")
    method = values.get("interpolation_method")
    if method is not None and method != "splines":
        wrong.append(f"interpolation_method is {method!r}; set 'splines'")
    return wrong + _desired(values) + _timeout(values)


def _forward(values: Mapping[str, Any], joints: tuple[str, ...]) -> list[str]:
    wrong = _joints(values, joints, ordered=True)
    interface = values.get("interface_name")
    if interface is None:
        why = "it tells positions from velocities and efforts"
        wrong.append(_missing("interface_name", why))
    elif interface != "position":
        wrong.append(f"interface_name is {interface!r}; set 'position'")
    return wrong


def judge(
    kind: str, values: Mapping[str, Any], joints: tuple[str, ...], node: str
) -> tuple[str, ...]:
    """Return what is wrong with the controller ``node`` of ``controller.type`` ``kind``.

    ``values`` holds its parameters by name, None for one that it does not have; any type may come.
    """
    wrong = _mistyped(kind, values)
    if not wrong:
        check = _trajectory if kind == "joint_trajectory" else _forward
        wrong = check(values, joints)
    return tuple(f"{node}: {text}" for text in wrong)
