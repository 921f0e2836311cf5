"""An emergency stop source that raises, hangs, or is odd: what its owner and a person see."""

import importlib.metadata
import sys
import threading
import time
import types

import pytest
from safety_world import make_robot

from vla_common.core.errors import ConfigError
from vla_safety.core.estop_source import OwnEstop, load

SPEC = "estop_odd:Source"


class Plain:
    """A source without ``close``."""

    answer: object = False

    def __init__(self, robot):
        pass

    def pressed(self):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Broken(Plain):
    answer = OSError("cable")


class Hanging(Plain):
    """A source that does not come back until it is let go, and counts what closes it."""

    def __init__(self, robot):
        self.let_go = threading.Event()
        self.closed = 0

    def pressed(self):
        self.let_go.wait(20.0)
        return False

    def close(self):
        self.closed += 1


def own(source, monkeypatch):
    monkeypatch.setitem(sys.modules, "estop_odd", types.SimpleNamespace(Source=source))
    return OwnEstop(make_robot(2, estop_plugin=SPEC))


def wait_for(what):
    deadline = time.monotonic() + 5.0
    while not what() and time.monotonic() < deadline:
        time.sleep(0.002)
    assert what()


def test_a_source_that_raises_is_pressed_and_named_in_the_complaint(monkeypatch):
    estop = own(Broken, monkeypatch)
    told, complaints = [], []
    estop.start(told.append, complaints.append)
    wait_for(lambda: len(told) >= 2)
    estop.stop()
    assert set(told) == {True}
    assert complaints == [f"estop_plugin {SPEC}: pressed() raised OSError('cable')"]


def test_a_source_without_close_is_let_go(monkeypatch):
    estop = own(Plain, monkeypatch)
    estop.close()  # never started
    told = []
    estop.start(told.append, told.append)
    wait_for(lambda: told)
    estop.close()


def test_a_source_that_was_never_started_is_closed(monkeypatch):
    estop = own(Hanging, monkeypatch)
    estop.close()
    assert estop._source.closed == 1


def test_a_source_that_hangs_is_not_closed_and_says_so_when_started_again(monkeypatch):
    """It is within pressed(): closing the line under it could do anything."""
    estop = own(Hanging, monkeypatch)
    before = set(threading.enumerate())
    estop.start(lambda pressed: None, lambda text: None)
    (thread,) = set(threading.enumerate()) - before
    assert thread.daemon, "a source that hangs would keep the gate's process alive"
    assert thread.name == "estop"  # what a dump of all threads calls it
    estop.close()
    assert estop._source.closed == 0
    with pytest.raises(ConfigError) as caught:
        estop.start(lambda pressed: None, lambda text: None)
    assert (caught.value.where, caught.value.key) == ("test", "safety.estop_plugin")
    assert SPEC in str(caught.value)
    estop._source.let_go.set()
    wait_for(lambda: not thread.is_alive())


def test_a_class_within_a_class_is_found(monkeypatch):
    outer = types.SimpleNamespace(Inner=types.SimpleNamespace(Source=Plain))
    monkeypatch.setitem(sys.modules, "estop_odd", types.SimpleNamespace(Outer=outer))
    robot = make_robot(2, estop_plugin="estop_odd:Outer.Inner.Source")
    assert isinstance(load(robot), Plain)


@pytest.mark.parametrize(
    ("names", "says"), [((), "installed: none"), (("rope", "mat"), "installed: 'mat', 'rope'")]
)
def test_an_unknown_name_is_answered_with_those_that_are_installed(monkeypatch, names, says):
    points = [types.SimpleNamespace(name=name) for name in names]
    asked = []

    def entry_points(group):
        asked.append(group)
        return points

    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)
    with pytest.raises(ConfigError) as caught:
        load(make_robot(2, estop_plugin="button"))
    assert caught.value.value == "button"
    assert str(caught.value).endswith(says)
    assert asked == ["vla_safety.estop"]
