"""Stands in for camera_ingest where the pipeline is left out: the health of the cameras."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from pathlib import Path

import rclpy
from vla_msgs.msg import CameraHealth

from vla_common import qos
from vla_common.core.robot import Robot

PERIOD = 0.05


def put_before_others() -> None:
    """Let this thread stand for a pipeline or a button, which a busy computer does not delay.

    Where it is permitted; not by SCHED_FIFO, with which threads that wait for one another in
    shared memory of Fast DDS would spin. Linux shares time between sessions first, see "The
    autogroup feature" in sched(7); a thread's priority counts only within its own.
    """
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), -10)
        Path("/proc/self/autogroup").write_text("-10", encoding="ascii")


class CameraSource(threading.Thread):
    """Says at 20 Hz that every camera is well.

    ``tamper(message)`` may change a message before it is sent, or return None to drop it.
    """

    def __init__(self, node: rclpy.node.Node, robot: Robot) -> None:
        super().__init__(daemon=True)
        self._names = list(robot.camera_names)
        self._publisher = node.create_publisher(CameraHealth, "/vla/camera_health", qos.HEARTBEAT)
        self._context = node.context
        self.tamper = lambda message: message
        self.running = True

    def message(self) -> CameraHealth:
        """Return a report of cameras that are well."""
        count = len(self._names)
        return CameraHealth(
            sent_ns=time.monotonic_ns(),
            cameras=self._names,
            age_ms=[20.0] * count,
            repeated=[1] * count,
            dark=[0] * count,
            faults=[""] * count,
        )

    def run(self) -> None:
        """Send until told to stop."""
        put_before_others()
        while self.running and self._context.ok():
            message = self.tamper(self.message())
            if message is not None:
                self._publisher.publish(message)
            time.sleep(PERIOD)
