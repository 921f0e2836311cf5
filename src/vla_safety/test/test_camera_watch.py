"""What the gate knows of the cameras, to the nanosecond and camera by camera."""

import pytest
from safety_world import MS, make_robot

from vla_common.core.errors import ConfigError
from vla_common.core.robot import from_parameters
from vla_safety.core.cameras import CameraWatch
from vla_safety.core.reasons import Reason

AGE, FUTURE = 150 * MS, 20 * MS  # safety.camera_age_ms, safety.future_ms: their defaults


def watch(*names):
    """Return a watch of required cameras."""
    values = dict(make_robot(2).parameters)
    camera = {"topic": "/c", "width": 96, "height": 96}
    values["cameras"] = {"names": list(names), **dict.fromkeys(names, camera)}
    return CameraWatch(from_parameters(values, "test"))


def tell(found, sent_ns, now_ns, names=("c",), texts=None):
    fine = [0.0] * len(names)
    texts = [""] * len(names) if texts is None else texts
    return found.update(sent_ns, list(names), fine, fine, fine, texts, now_ns)


def test_a_report_counts_until_it_is_exactly_too_old():
    found = watch("c")
    assert tell(found, 10**9, 10**9)
    assert found.faults(10**9 + AGE) == ()
    assert found.faults(10**9 + AGE + 1) == ((Reason.CAMERA_SILENT, "camera_ingest is silent"),)


def test_a_report_may_be_sent_exactly_so_far_in_the_future():
    found = watch("c")
    assert not tell(found, 10**9 + FUTURE + 1, 10**9)
    assert tell(found, 10**9 + FUTURE, 10**9)


def test_a_clock_that_begins_at_zero_is_a_clock():
    found = watch("c")
    assert found.age_ns(0) is None
    assert found.faults(0) == ((Reason.CAMERA_SILENT, "camera_ingest was not heard"),)
    assert not tell(found, -1, 0)
    assert found.age_ns(0) is None
    assert tell(found, 0, 0)
    assert found.faults(1) == ()
    assert found.age_ns(7) == 7


def test_age_is_counted_from_the_newest_report_that_was_usable():
    found = watch("c")
    assert tell(found, 10**9, 10**9 + 3)
    assert found.age_ns(10**9 + 5) == 5
    assert not tell(found, 10**9 + 4, 10**9 + 5, texts=[None])
    assert found.age_ns(10**9 + 6) == 6


@pytest.mark.parametrize("bad", ["left", "right"])
def test_each_camera_is_judged_whatever_the_others_are(bad):
    found = watch("left", "right")
    names = ("right", "left")  # another order than the robot file's
    assert tell(found, 1, 1, names, ["dark" if name == bad else "" for name in names])
    assert found.faults(1) == ((Reason.CAMERA_DARK, bad),)


def test_faults_of_several_cameras_are_all_told():
    found = watch("left", "right")
    assert tell(found, 1, 1, ("left", "right"), ["dark", "frozen"])
    assert found.faults(1) == ((Reason.CAMERA_DARK, "left"), (Reason.CAMERA_FROZEN, "right"))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("wrong encoding: mono8", "c: wrong encoding: mono8"),
        ("wrong " + "x" * 500, "c: wrong " + "x" * 74),  # no more than 80 characters of it
        ("no usable image for 163 ms", "c"),  # a number that changes is not passed on
    ],
)
def test_what_is_wrong_with_the_images_is_passed_on(text, why):
    found = watch("c")
    assert tell(found, 1, 1, texts=[text])
    assert found.faults(1) == ((Reason.CAMERA_STALE, why),)


def test_a_camera_that_is_too_slow_is_refused_in_the_robot_file():
    values = dict(make_robot(2, camera_age_ms=40.0).parameters)
    camera = {"topic": "/c", "width": 96, "height": 96}
    values["cameras"] = {"names": ["a", "b"], "a": camera, "b": {**camera, "rate": 20.0}}
    with pytest.raises(ConfigError) as caught:
        CameraWatch(from_parameters(values, "robot.yaml"))
    error = caught.value
    assert (error.where, error.key, error.value) == ("robot.yaml", "safety.camera_age_ms", 40.0)
    assert "cameras.b at 20 Hz, 50 ms" in str(error)
    values["cameras"]["b"]["required"] = False
    assert CameraWatch(from_parameters(values, "robot.yaml")).required == ("a",)
