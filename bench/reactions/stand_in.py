"""A node that stands in for the controller's parameters, and can fall silent or go."""

from __future__ import annotations

import threading

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from trajectory_msgs.msg import JointTrajectory
from variants import STAND_IN

from vla_common import qos
from vla_common.core.robot import Robot
from vla_sim import controller_parameters


class StandIn:
    """Listens where the controller listens, and answers what its parameters are."""

    def __init__(self, context: rclpy.Context, robot: Robot) -> None:
        self._context, self._topic = context, robot.controller.topic
        self._node: Node | None = None
        self._thread: threading.Thread | None = None
        self._silent = threading.Event()
        self.come()

    def come(self) -> None:
        """Be there and answer; nothing where that is so already."""
        if self._node is None:
            self._node = Node(STAND_IN.strip("/"), context=self._context, enable_rosout=False)
            controller_parameters.declare(self._node)
            self._node.create_subscription(
                JointTrajectory, self._topic, lambda message: None, qos.COMMAND
            )
        if self._thread is None:
            self._silent.clear()
            self._thread = threading.Thread(target=self._spin, daemon=True)
            self._thread.start()

    def _spin(self) -> None:
        executor = SingleThreadedExecutor(context=self._context)
        executor.add_node(self._node)
        while not self._silent.is_set():
            executor.spin_once(timeout_sec=0.02)
        executor.remove_node(self._node)
        executor.shutdown()

    def fall_silent(self) -> None:
        """Stay, but answer nothing more."""
        self._silent.set()
        if self._thread is not None:
            self._thread.join(2.0)
            self._thread = None

    def leave(self) -> None:
        """Go."""
        self.fall_silent()
        if self._node is not None:
            self._node.destroy_node()
            self._node = None
