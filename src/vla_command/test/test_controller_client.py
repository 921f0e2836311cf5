"""Whatever comes back instead of a controller's parameters, it is a problem in words."""

from types import SimpleNamespace

import pytest
from rcl_interfaces.msg import ParameterType, ParameterValue
from rcl_interfaces.srv import GetParameters

from vla_command.controller_client import PERIOD_NS, ControllerClient

GOOD = {
    "joints": ParameterValue(
        type=ParameterType.PARAMETER_STRING_ARRAY, string_array_value=["j1", "j2"]
    ),
    "interface_name": ParameterValue(type=ParameterType.PARAMETER_STRING, string_value="position"),
}


def answer(*values):
    return SimpleNamespace(values=list(values))


class Answered:
    """A future that is done; ``outcome`` is returned, or raised."""

    def __init__(self, outcome):
        self.outcome = outcome

    def done(self):
        return True

    def result(self):
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


class Service:
    """Answers each question for a parameter with what the test wants."""

    def __init__(self, **changes):
        self.answers = {**{name: answer(value) for name, value in GOOD.items()}, **changes}

    def service_is_ready(self):
        return True

    def call_async(self, request: GetParameters.Request):
        return Answered(self.answers[request.names[0]])


def problems(**changes):
    owner = SimpleNamespace(create_client=lambda kind, name: Service(**changes))
    client = ControllerClient(owner, "forward_command", ("j1", "j2"), "/arm")
    client.problems(0)  # asks
    return client.problems(1)


def test_a_good_controller_has_no_problems():
    assert problems() == ()


def test_a_parameter_that_is_not_known_is_named():
    (problem,) = problems(interface_name=answer())
    assert problem.startswith("/arm: has no parameter interface_name")


@pytest.mark.parametrize(
    "outcome, words",
    [
        (None, "no answer"),
        (RuntimeError("the node is gone"), "the node is gone"),
        (answer(ParameterValue(type=99)), "type"),
        (SimpleNamespace(), "values"),
    ],
)
@pytest.mark.parametrize("name", list(GOOD))
def test_what_cannot_be_read_is_a_problem(name, outcome, words):
    (problem,) = problems(**{name: outcome})
    assert problem.startswith("/arm: its parameters cannot be read: ")
    assert words in problem


def test_a_parameter_of_another_type_is_a_problem():
    number = ParameterValue(type=ParameterType.PARAMETER_INTEGER, integer_value=7)
    assert problems(joints=answer(number)) == ("/arm: joints is 7; it must be a list of texts",)


def test_it_is_asked_again_and_may_be_well_then():
    service = Service(joints=None)
    owner = SimpleNamespace(create_client=lambda kind, name: service)
    client = ControllerClient(owner, "forward_command", ("j1", "j2"), "/arm")
    client.problems(0)
    assert client.problems(1)
    service.answers["joints"] = answer(GOOD["joints"])
    client.problems(PERIOD_NS)
    assert client.problems(PERIOD_NS + 1) == ()
