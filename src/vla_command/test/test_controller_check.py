"""A controller that does not fit is named, with what it has and what to set."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_command.core.controller_check import PARAMETERS, TYPES, judge, node_of

JOINTS = ("j1", "j2")
GOOD = {
    "joints": ["j2", "j1"],
    "command_interfaces": ["position"],
    "interpolation_method": "splines",
    "interpolate_from_desired_state": True,
    "open_loop_control": None,
    "cmd_timeout": 0.5,
    "constraints.goal_time": 0.0,
}
HUMBLE = dict.fromkeys(GOOD) | {
    "joints": ["j1", "j2"],
    "command_interfaces": ["position"],
    "open_loop_control": True,
    "cmd_timeout": 0.5,
}


def wrong(kind="joint_trajectory", base=GOOD, **changes):
    values = {**base, **{k.replace("__", "."): v for k, v in changes.items()}}
    return judge(kind, values, JOINTS, "/jtc")


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"cmd_timeout": 0.0}, "/jtc: cmd_timeout is 0 (off); set it above 0, such as 0.5"),
        ({"cmd_timeout": -1.0}, "/jtc: cmd_timeout is -1 (off); set it above 0, such as 0.5"),
        (
            {"constraints__goal_time": 0.6},
            "/jtc: cmd_timeout is 0.5 (off); set it above constraints.goal_time, 0.6",
        ),
        (
            {"interpolate_from_desired_state": False},
            "/jtc: interpolate_from_desired_state is false; set it true",
        ),
        (
            {"command_interfaces": ["velocity"]},
            "/jtc: command_interfaces is ['velocity']; set ['position']",
        ),
        (
            {"command_interfaces": ["effort"]},
            "/jtc: command_interfaces is ['effort']; set ['position']",
        ),
        (
            {"interpolation_method": "none"},
            "/jtc: interpolation_method is 'none'; set 'splines'",
        ),
        ({"joints": ["j1"]}, "/jtc: joints is ['j1']; set ['j1', 'j2'] (robot.joints)"),
        (
            {"joints": None},
            "/jtc: has no parameter joints: is it a controller? else name it in controller.node",
        ),
    ],
)
def test_each_fault_of_a_trajectory_controller(changes, said):
    assert wrong(**changes) == (said,)


@pytest.mark.parametrize(
    "key, value, said",
    [
        ("joints", 7, "joints is 7; it must be a list of texts"),
        ("joints", 0, "joints is 0; it must be a list of texts"),
        ("joints", "j1", "joints is 'j1'; it must be a list of texts"),
        ("joints", [1, 2], "joints is [1, 2]; it must be a list of texts"),
        ("command_interfaces", 1, "command_interfaces is 1; it must be a list of texts"),
        ("interpolation_method", 2.5, "interpolation_method is 2.5; it must be a text"),
        ("interpolate_from_desired_state", 0, "is 0; it must be true or false"),
        ("open_loop_control", "yes", "open_loop_control is 'yes'; it must be true or false"),
        ("cmd_timeout", "0.5", "cmd_timeout is '0.5'; it must be a number"),
        ("cmd_timeout", True, "cmd_timeout is True; it must be a number"),
        ("cmd_timeout", [0.5], "cmd_timeout is [0.5]; it must be a number"),
        ("constraints__goal_time", "0", "constraints.goal_time is '0'; it must be a number"),
    ],
)
def test_a_parameter_of_another_type_is_named(key, value, said):
    (found,) = wrong(**{key: value})
    assert found.startswith("/jtc: ") and found.endswith(said)


def test_a_parameter_of_another_type_of_a_forward_controller():
    good = {"joints": ["j1", "j2"], "interface_name": "position"}
    said = "/jtc: interface_name is 3; it must be a text"
    assert wrong("forward_command", good, interface_name=3) == (said,)
    assert wrong("forward_command", dict.fromkeys(good))[0].startswith("/jtc: has no parameter")


@pytest.mark.parametrize("name", ["command_interfaces", "cmd_timeout"])
@pytest.mark.parametrize("base", [GOOD, HUMBLE])
def test_a_trajectory_controller_without_what_makes_it_a_guard_is_refused(base, name):
    """It passed: what is not there was not asked for."""
    (found,) = wrong(base=base, **{name: None})
    assert found.startswith(f"/jtc: has no parameter {name}: ")
    assert "controller.check_parameters: false" in found


def test_a_trajectory_controller_that_cannot_say_where_it_begins_is_refused():
    (found,) = wrong(interpolate_from_desired_state=None)
    assert found.startswith("/jtc: has no parameter interpolate_from_desired_state: ")
    assert "open_loop_control" in found


def test_an_old_trajectory_controller_is_told_what_to_update_to():
    (found,) = wrong(base=HUMBLE, cmd_timeout=None)
    assert "from 3.16.0 on, in Humble 2.30.0" in found


def test_a_forward_controller_that_may_be_one_of_velocities_is_refused():
    good = {"joints": ["j1", "j2"], "interface_name": None}
    (found,) = wrong("forward_command", good)
    assert found.startswith("/jtc: has no parameter interface_name: ")
    assert "controller.check_parameters: false" in found


def test_a_long_value_is_cut():
    assert len(wrong(joints=list(range(10_000)))[0]) < 100


SCALARS = [None, True, False, 0, 7, -1, 0.5, float("nan"), "", "0.5", "j1", "j2", b"x"]
scalar = st.sampled_from(SCALARS)


@given(
    st.sampled_from(["joint_trajectory", "forward_command"]),
    st.dictionaries(
        st.sampled_from(sorted({*GOOD, "interface_name"})),
        scalar | st.lists(scalar, max_size=3),
    ),
)
def test_whatever_a_controller_has_ends_in_words(kind, values):
    verdict = judge(kind, values, JOINTS, "/jtc")
    assert all(isinstance(text, str) for text in verdict)
    assert verdict or sorted(values["joints"]) == sorted(JOINTS)


def test_all_faults_are_told_at_once():
    assert len(wrong(cmd_timeout=0.0, command_interfaces=["effort"], joints=["x"])) == 3


def test_good_controllers_of_new_and_old_versions():
    assert wrong() == ()
    assert wrong(base=HUMBLE) == ()
    assert wrong(constraints__goal_time=0.4) == ()
    assert wrong(interpolate_from_desired_state=False, open_loop_control=True) == ()
    said = "/jtc: open_loop_control is false; set it true"
    assert wrong(base=HUMBLE, open_loop_control=False) == (said,)


def test_a_forward_controller_takes_positions_in_our_order():
    good = {"joints": ["j1", "j2"], "interface_name": "position"}
    assert wrong("forward_command", good) == ()
    for name in ("velocity", "effort"):
        said = f"/jtc: interface_name is {name!r}; set 'position'"
        assert wrong("forward_command", good, interface_name=name) == (said,)
    assert "in this order" in wrong("forward_command", good, joints=["j2", "j1"])[0]


@pytest.mark.parametrize(
    "topic, named, node",
    [
        ("/joint_trajectory_controller/joint_trajectory", "", "/joint_trajectory_controller"),
        ("/left/jtc/joint_trajectory", "", "/left/jtc"),
        ("/left/jtc/joint_trajectory", "sim_arm", "/sim_arm"),
        ("/left/jtc/joint_trajectory", "/right/arm/", "/right/arm"),
    ],
)
def test_the_node_of_a_controller(topic, named, node):
    assert node_of(topic, named) == node


def test_every_type_is_known():
    assert set(PARAMETERS) == {"joint_trajectory", "forward_command", "joint_state"}
    assert set(TYPES) == {name for names in PARAMETERS.values() for name in names}
