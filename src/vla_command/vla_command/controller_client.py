"""Asks the controller for its parameters, without waiting for the answer."""

from __future__ import annotations

from typing import Any

from rcl_interfaces.srv import GetParameters
from rclpy.node import Node
from rclpy.parameter import parameter_value_to_python

from vla_command.core.controller_check import PARAMETERS, judge

PERIOD_NS = 400_000_000  # between questions: with the looks at its answers less than 1 s
PATIENCE_NS = 900_000_000  # for an answer
MISSES = 2  # answers in a row that may be late before a good controller counts as gone


def _value(future: Any) -> Any:
    """Return the value in an answer, None where the parameter is not known.

    Raises what the call raised, and RuntimeError for an answer that is none, or of no known type.
    """
    answer = future.result()
    if answer is None:
        raise RuntimeError("no answer")
    values = answer.values
    return parameter_value_to_python(values[0]) if values else None


class ControllerClient:
    """The newest verdict about the controller ``node``; one thread calls, a few times a second.

    Each parameter is a question of its own: rclcpp answers one with an unknown name in it with
    nothing at all.
    """

    def __init__(self, owner: Node, kind: str, joints: tuple[str, ...], node: str) -> None:
        self.node = node
        self._names = list(PARAMETERS[kind])
        self._kind = kind
        self._joints = joints
        self._service = f"{node}/get_parameters"
        self._client = owner.create_client(GetParameters, self._service)
        self._owner = owner
        self._futures: list[Any] = []
        self._asked_ns = -PERIOD_NS
        self._misses = MISSES
        self._verdict: tuple[str, ...] = (f"{node}: its parameters were not read yet",)

    def problems(self, now_ns: int) -> tuple[str, ...]:
        """Return what is wrong with the controller, as far as known; ask again when it is time."""
        if self._futures:
            self._take(now_ns)
        if not self._futures and now_ns - self._asked_ns >= PERIOD_NS:
            self._ask(now_ns)
        return self._verdict

    def destroy(self) -> None:
        """Remove the client."""
        self._owner.destroy_client(self._client)

    def _ask(self, now_ns: int) -> None:
        self._asked_ns = now_ns
        if self._client.service_is_ready():
            ask = self._client.call_async
            self._futures = [ask(GetParameters.Request(names=[name])) for name in self._names]
        else:
            self._miss(
                f"no service {self._service}: start the controller, or set controller.node, or "
                "controller.check_parameters: false for one without parameters"
            )

    def _take(self, now_ns: int) -> None:
        futures = self._futures
        if all(future.done() for future in futures):
            self._futures, self._misses = [], 0
            verdict = self._judge(futures)
            if verdict != self._verdict:
                self._verdict = verdict
        elif now_ns - self._asked_ns > PATIENCE_NS:
            for future in futures:
                self._client.remove_pending_request(future)
            self._futures = []
            self._miss(f"{self._service} does not answer within {PATIENCE_NS * 1e-9:g} s")

    def _judge(self, futures: list[Any]) -> tuple[str, ...]:
        try:
            values = dict(zip(self._names, map(_value, futures)))
        except Exception as error:  # the call failed, or the answer is none: nothing may move
            return (f"{self.node}: its parameters cannot be read: {error}",)
        return judge(self._kind, values, self._joints, self.node)

    def _miss(self, problem: str) -> None:
        self._misses += 1
        if self._misses >= MISSES and self._verdict != (problem,):
            self._verdict = (problem,)
