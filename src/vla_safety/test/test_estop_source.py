"""Sources in the gate's process: loading them, asking them, and what a bad one leads to."""

import sys
import threading
import time
import types

import pytest
from safety_world import MS, make_robot

from vla_common.core.errors import ConfigError
from vla_safety.core.estop_source import EstopPoller, OwnEstop, load
from vla_safety.gpio import GpioEstop


class Button:
    """A source that answers what it is told."""

    def __init__(self, robot=None):
        self.robot = robot
        self.answer = False
        self.closed = 0

    def pressed(self):
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer

    def close(self):
        self.closed += 1


class Hanging(Button):
    """A source that does not come back until it is let go."""

    let_go = threading.Event()

    def pressed(self):
        Hanging.let_go.wait(20.0)
        return False


class Silent:
    def __init__(self, robot):
        pass


class Failing:
    def __init__(self, robot):
        raise OSError("no such device")


def poller(source):
    told, complaints = [], []
    return EstopPoller(source, told.append, complaints.append), told, complaints


# --- asking -----------------------------------------------------------------------------------
def test_changes_are_told_at_once_and_else_a_heartbeat():
    button = Button()
    asked, told, complaints = poller(button)
    for ms in range(0, 100, 10):
        asked.poll(10**9 + ms * MS)
    assert told == [False] * 3
    button.answer = True
    asked.poll(10**9 + 100 * MS)
    assert told == [False] * 3 + [True]
    button.answer = False
    asked.poll(10**9 + 110 * MS)
    assert told[-1] is False
    assert not complaints


def test_raising_is_pressed_and_said_once():
    button = Button()
    asked, told, complaints = poller(button)
    button.answer = OSError("cable")
    for i in range(5):
        asked.poll(10**9 + i * 100 * MS)
    assert told == [True] * 5
    assert complaints == ["pressed() raised OSError('cable')"]
    button.answer = False
    asked.poll(2 * 10**9)
    assert told[-1] is False


@pytest.mark.parametrize("answer", [None, 0, 1, "", [], "released"])
def test_an_answer_that_is_no_bool_is_pressed(answer):
    button = Button()
    button.answer = answer
    asked, told, complaints = poller(button)
    asked.poll(10**9)
    assert told == [True]
    assert "neither True nor False" in complaints[0]


def test_a_source_that_hangs_is_silent_and_cannot_be_started_again():
    Hanging.let_go.clear()
    sys.modules["estop_under_test"] = types.SimpleNamespace(Hanging=Hanging)
    estop = OwnEstop(make_robot(2, estop_plugin="estop_under_test:Hanging"))
    told = []
    estop.start(told.append, told.append)
    time.sleep(0.1)
    assert not told
    estop.stop()
    with pytest.raises(ConfigError, match="hangs"):
        estop.start(told.append, told.append)
    Hanging.let_go.set()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_the_end_of_the_thread_by_anything_worse_than_an_exception_is_silence():
    button = Button()
    asked, told, _ = poller(button)
    asked.start()
    deadline = time.monotonic() + 5.0
    while not told and time.monotonic() < deadline:
        time.sleep(0.002)
    button.answer = SystemExit()
    while asked.alive and time.monotonic() < deadline:
        time.sleep(0.002)
    assert not asked.alive
    said = len(told)
    time.sleep(0.1)
    assert len(told) == said


def test_a_stopped_source_is_asked_no_more_is_closed_and_can_start_again():
    sys.modules["estop_under_test"] = types.SimpleNamespace(Button=Button)
    estop = OwnEstop(make_robot(2, estop_plugin="estop_under_test:Button"))
    for _ in range(2):
        told = []
        estop.start(told.append, told.append)
        deadline = time.monotonic() + 5.0
        while len(told) < 2 and time.monotonic() < deadline:
            time.sleep(0.002)
        estop.stop()
        said = len(told)
        assert said >= 2
        time.sleep(0.1)
        assert len(told) == said
    assert estop._source.closed == 0
    estop.close()
    assert estop._source.closed == 1


# --- loading ----------------------------------------------------------------------------------
def test_a_class_of_a_module_is_given_the_robot_file():
    sys.modules["estop_under_test"] = types.SimpleNamespace(Button=Button)
    robot = make_robot(2, estop_plugin="estop_under_test:Button")
    source = load(robot)
    assert isinstance(source, Button)
    assert source.robot is robot


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("no_such_module_here:Button", "No module named"),
        ("estop_under_test:Missing", "Missing"),
        ("estop_under_test:Failing", "no such device"),
        ("estop_under_test:Silent", "pressed"),
        ("no_such_entry_point", "'gpio'"),
        (":", "ValueError"),
    ],
)
def test_a_source_that_does_not_load_is_refused_by_name(spec, says):
    sys.modules["estop_under_test"] = types.SimpleNamespace(Failing=Failing, Silent=Silent)
    robot = make_robot(2, estop_plugin=spec)
    with pytest.raises(ConfigError) as caught:
        load(robot)
    text = str(caught.value)
    assert text.startswith("test: safety.estop_plugin = ")
    assert repr(spec) in text
    assert says in text


# --- GPIO, on stand-ins for libgpiod's binding ------------------------------------------------
class Chip:
    """What the stand-ins read: the levels of the lines of one chip."""

    path = "/dev/gpiochip0"

    def __init__(self):
        self.levels = {17: 1}
        self.broken = False
        self.requests = []
        self.released = 0

    def open(self, path, offset):
        if path != self.path:
            raise FileNotFoundError(2, "No such file or directory")
        if offset not in self.levels:
            raise OSError(22, "Invalid argument")

    def read(self, offset):
        if self.broken:
            raise OSError(5, "Input/output error")
        return self.levels[offset]


def version_two(chip):
    """gpiod 2.x: request_lines, LineSettings, gpiod.line.{Bias, Direction, Value}."""
    import enum

    class Direction(enum.Enum):
        AS_IS, INPUT, OUTPUT = 1, 2, 3

    class Bias(enum.Enum):
        AS_IS, UNKNOWN, DISABLED, PULL_UP, PULL_DOWN = 1, 2, 3, 4, 5

    class Value(enum.Enum):
        INACTIVE, ACTIVE = 0, 1

    class LineSettings:
        def __init__(self, direction=Direction.AS_IS, bias=Bias.AS_IS, active_low=False):
            self.direction, self.bias, self.active_low = direction, bias, active_low

    class LineRequest:
        def get_value(self, line):
            return Value(chip.read(line))

        def release(self):
            chip.released += 1

    def request_lines(path, config, consumer=None):
        ((offset, settings),) = config.items()
        chip.open(path, offset)
        assert settings.direction is Direction.INPUT
        assert settings.bias is Bias.PULL_DOWN
        assert not settings.active_low
        chip.requests.append(consumer)
        return LineRequest()

    line = types.ModuleType("gpiod.line")
    line.Direction, line.Bias, line.Value = Direction, Bias, Value
    module = types.ModuleType("gpiod")
    module.request_lines, module.LineSettings, module.line = request_lines, LineSettings, line
    return {"gpiod": module, "gpiod.line": line}


def version_one(chip):
    """gpiod 1.x: Chip(...).get_line(...).request(...)."""

    class Line:
        def __init__(self, offset):
            self.offset = offset

        def request(self, consumer, type, flags=0):
            assert (type, flags) == (3, 16)
            chip.requests.append(consumer)

        def get_value(self):
            return chip.read(self.offset)

        def release(self):
            chip.released += 1

    class GpiodChip:
        def __init__(self, path):
            chip.open(path, 17)

        def get_line(self, offset):
            chip.open(chip.path, offset)
            return Line(offset)

        def close(self):
            pass

    module = types.ModuleType("gpiod")
    module.Chip = GpiodChip
    module.LINE_REQ_DIR_IN, module.LINE_REQ_FLAG_BIAS_PULL_DOWN = 3, 16
    return {"gpiod": module}


@pytest.fixture(params=[version_one, version_two])
def chip(request, monkeypatch):
    found = Chip()
    monkeypatch.delitem(sys.modules, "gpiod.line", raising=False)
    for name, module in request.param(found).items():
        monkeypatch.setitem(sys.modules, name, module)
    return found


def gpio(**safety):
    return make_robot(2, **{"estop_plugin": "gpio", "estop_line": 17, **safety})


def test_high_is_released_low_is_pressed(chip):
    source = load(gpio())
    assert isinstance(source, GpioEstop)
    assert source.pressed() is False
    chip.levels[17] = 0
    assert source.pressed() is True
    assert chip.requests == ["vla_ros emergency stop"]
    source.close()
    assert chip.released == 1


def test_a_line_that_cannot_be_read_is_pressed(chip):
    asked, told, complaints = poller(load(gpio()))
    chip.broken = True
    asked.poll(10**9)
    assert told == [True]
    assert "Input/output error" in complaints[0]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"estop_line": -1}, "safety.estop_line = -1"),
        ({"estop_line": 99}, "Invalid argument"),
        ({"estop_chip": "/dev/gpiochip7"}, "/dev/gpiochip7"),
    ],
)
def test_a_line_that_is_not_there_is_refused(chip, changes, says):
    with pytest.raises(ConfigError) as caught:
        load(gpio(**changes))
    assert says in str(caught.value)


def test_without_the_binding_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "gpiod", None)
    with pytest.raises(ConfigError, match="pip install gpiod"):
        load(gpio())
