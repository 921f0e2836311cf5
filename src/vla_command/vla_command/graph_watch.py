"""Watches who else is there: one controller that listens, one gate, nobody else who commands."""

from __future__ import annotations

from collections.abc import Sequence

from rclpy.node import Node

from vla_command.controller_client import ControllerClient
from vla_command.core.controller_check import PARAMETERS, node_of
from vla_common.core.robot import Robot

NOT_LOOKED = ("the controller was not looked at yet",)
SETTLE_NS = 1_000_000_000
"""For this long all must have been well: while the middleware of every process takes leave of a
participant that died, or meets a new one, loops stall for longer than a lease lasts."""
SETTLING = (f"controller and publishers are in order for less than {SETTLE_NS * 1e-9:g} s",)


class GraphWatch:
    """Finds the problems for which nothing may move; one thread calls, a few times a second."""

    def __init__(
        self, owner: Node, topic: str, robot: Robot, gate_topics: Sequence[str] = ()
    ) -> None:
        """``topic`` is the output; on each of ``gate_topics`` one gate may publish, not two."""
        controller = robot.controller
        self.others = 0  # publishers on the output topic besides this one
        self.subscribers = 0
        self._problem_ns: int | None = None
        self._owner = owner
        self._topic = topic
        self._gate_topics = tuple(gate_topics)
        self._dry_run = controller.dry_run
        self._client: ControllerClient | None = None
        if not self._dry_run and controller.check_parameters and PARAMETERS[controller.type]:
            node = node_of(controller.topic, controller.node)
            self._client = ControllerClient(owner, controller.type, robot.joints, node)

    def look(self, now_ns: int) -> tuple[str, ...]:
        """Return the problems, () when there are none for a second; a dry run has none."""
        problems = self._problems(now_ns)
        if problems:
            self._problem_ns = now_ns
        elif self._problem_ns is not None and now_ns - self._problem_ns < SETTLE_NS:
            return SETTLING
        return problems

    def _problems(self, now_ns: int) -> tuple[str, ...]:
        self.subscribers = self._owner.count_subscribers(self._topic)
        if self._dry_run:
            return ()
        self.others = max(0, self._owner.count_publishers(self._topic) - 1)
        crowded = [topic for topic in self._gate_topics if self._owner.count_publishers(topic) > 1]
        if self.others:
            crowded.insert(0, self._topic)
        return (*map(self._crowd, crowded), *self._controller(now_ns))

    def _crowd(self, topic: str) -> str:
        names = self._names(self._owner.get_publishers_info_by_topic(topic))
        return f"{len(names)} publishers on {topic}: {', '.join(names)}"

    def destroy(self) -> None:
        """Remove what was created."""
        if self._client is not None:
            self._client.destroy()

    def _controller(self, now_ns: int) -> tuple[str, ...]:
        if self._client is None:
            return () if self.subscribers else (f"no controller listens on {self._topic}",)
        wrong = self._client.problems(now_ns)
        listening = self._names(self._owner.get_subscriptions_info_by_topic(self._topic))
        if self._client.node in listening:
            return wrong
        # A recorder or a view may listen, too.
        by = f", but {', '.join(listening)}" if listening else ""
        return (f"no controller {self._client.node} listens on {self._topic}{by}",)

    @staticmethod
    def _names(infos: list) -> list[str]:  # type: ignore[type-arg]
        return sorted(f"{i.node_namespace.rstrip('/')}/{i.node_name}" for i in infos)
