"""The faults: how each is injected and healed, and by when the arm must have begun to slow.

Those in what the arm does, and where it goes, are in :mod:`hazards`.
"""

from __future__ import annotations

import copy
import math
import signal
import time
from array import array
from collections.abc import Callable
from typing import Any

from fault import HELD, LATCHED, Fault, plan, said, tampered, untampered
from hazards import HAZARDS, INSIDE
from rclpy.node import Node
from rig import Rig
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory

from vla_common import qos


def not_finite(message: Any) -> None:
    """Put NaN into a plan."""
    message.positions[3] = math.nan


def wrong_name(message: Any) -> None:
    """Name the last joint otherwise."""
    message.joint_names = [*message.joint_names[:-1], "elbow"]


def wrong_order(message: Any) -> None:
    """Exchange two names."""
    names = list(message.joint_names)
    message.joint_names = [names[1], names[0], *names[2:]]


def wrong_size(message: Any) -> None:
    """Leave the last position out."""
    message.positions = message.positions[:-1]


def stale(message: Any) -> None:
    """Date a plan back by half a second."""
    message.trace.capture_ns -= 500_000_000
    message.start_ns -= 500_000_000


def future(message: Any) -> None:
    """Date a plan forward by half a second."""
    message.start_ns += 500_000_000


def jumping(message: Any) -> None:
    """Let a plan begin 1 rad away."""
    message.positions = array("d", [value + 1.0 for value in message.positions])


def duplicate(rig: Rig) -> int:
    """Send the same number again and again."""
    first: list[Any] = []

    def change(message: Any) -> None:
        if not first:  # one more good one, that is repeated from then on
            first.append(copy.copy(message.epoch))
            first.append(message.seq - 1)
        message.epoch, message.seq = first

    return tampered(change)(rig)


def backwards(rig: Rig) -> int:
    """Send numbers that fall."""
    fallen = [5]

    def change(message: Any) -> None:
        message.seq = max(0, message.seq - fallen[0])
        fallen[0] += 2

    return tampered(change)(rig)


def plans_end(rig: Rig) -> int:
    """Send no more plans."""
    rig.source.paused = True
    return time.monotonic_ns()


def plans_again(rig: Rig) -> None:
    """Send plans again."""
    rig.source.paused = False


def pressed(rig: Rig) -> int:
    """Press the emergency stop."""
    rig.button.pressed = True
    return rig.button.send()


def released(rig: Rig) -> None:
    """Release the emergency stop."""
    rig.button.pressed = False


def heartbeat_lost(rig: Rig) -> int:
    """Let the emergency stop fall silent; the fault is its last heartbeat."""
    rig.button.silent = True
    return rig.button.send()


def heartbeat_back(rig: Rig) -> None:
    """Let it talk again."""
    rig.button.silent = False


def called(service: str) -> Callable[[Rig], int]:
    """Return the call of one of the gate's services."""

    def inject(rig: Rig) -> int:
        now_ns = time.monotonic_ns()
        rig.watcher.services[service].call_async(Trigger.Request())
        return now_ns

    return inject


def camera(change: Callable[[Any], Any]) -> Callable[[Rig], int]:
    """Change every report of camera_ingest from now on; the fault is the first one."""

    def inject(rig: Rig) -> int:
        sent: list[int] = []

        def tamper(message: Any) -> Any:
            if not sent:
                sent.append(time.monotonic_ns())
            return change(message)

        assert rig.graph.cameras is not None
        rig.graph.cameras.tamper = tamper
        end = time.monotonic() + 1.0
        while not sent and time.monotonic() < end:
            time.sleep(0.001)
        return sent[0]

    return inject


def cameras_well(rig: Rig) -> None:
    """Report that every camera is well."""
    assert rig.graph.cameras is not None
    rig.graph.cameras.tamper = lambda message: message


def frozen(message: Any) -> Any:
    """Report that the first camera repeats its image."""
    message.repeated[0], message.faults = 5, ["frozen", *message.faults[1:]]
    return message


def dark(message: Any) -> Any:
    """Report that the first camera is dark."""
    message.dark[0], message.faults = 10, ["dark", *message.faults[1:]]
    return message


def camera_stale(message: Any) -> Any:
    """Report that the first camera sends nothing."""
    message.age_ms[0], message.faults = 160.0, ["no image", *message.faults[1:]]
    return message


def second_publisher(rig: Rig) -> int:
    """Offer commands to the controller from elsewhere, too."""
    topic = rig.graph.robot.controller.topic
    # On a node that nobody spins: an executor fails when a publisher is destroyed under it.
    rig.second = Node("second_source", context=rig.graph.context, enable_rosout=False)
    now_ns = time.monotonic_ns()
    rig.second.create_publisher(JointTrajectory, topic, qos.COMMAND)
    return now_ns


def one_publisher(rig: Rig) -> None:
    """Take the second source of commands away."""
    rig.second.destroy_node()


def full_disk_then_stop(rig: Rig) -> int:
    """Let no log be written any more, make the gate log something, then call stop."""
    rig.may_write(False)
    rig.watcher.call("enable")  # refused, and said so in the log
    time.sleep(0.3)
    if not rig.cruising():
        raise RuntimeError("the arm slowed down because its log could not be written")
    return called("stop")(rig)


def send(name: str, number: signal.Signals) -> Callable[[Rig], int]:
    """Return the injection of a signal into a process."""
    return lambda rig: rig.signal(name, number)


def go_on(name: str) -> Callable[[Rig], None]:
    """Return the end of a SIGSTOP."""
    return lambda rig: rig.signal(name, signal.SIGCONT) and None


GATE, PUBLISHER = "safety_gate", "joint_command_publisher"
FAULTS = (
    plan("nan", "NaN in every plan", "non_finite", not_finite),
    plan("names", "wrong joint names", "wrong_names", wrong_name, latches=True),
    plan("order", "joints in another order", "wrong_order", wrong_order, latches=True),
    plan("shape", "a position too few", "wrong_size", wrong_size, latches=True),
    plan("stale", "plans half a second old", "stale", stale),
    plan("future", "plans from the future", "future", future),
    plan("jump", "plans that begin 1 rad away", "jump", jumping),
    Fault("duplicate", "the same plan again", 0.160, duplicate, untampered, HELD, "duplicate"),
    Fault("backwards", "plans out of order", 0.160, backwards, untampered, HELD, "out_of_order"),
    Fault("plans_end", "plans stop, as when the pipeline is dead", 0.160, plans_end, plans_again,
          HELD, "no_chunk"),
    Fault("estop", "emergency stop pressed", 0.160, pressed, released, LATCHED, "estop_pressed"),
    Fault("heartbeat", "emergency stop silent", 0.160, heartbeat_lost, heartbeat_back, LATCHED,
          "estop_heartbeat_lost"),
    Fault("estop_service", "~/estop called", 0.160, called("estop"), states=LATCHED,
          reason="estop_pressed"),
    Fault("stop", "~/stop called", 0.160, called("stop"), states=LATCHED, reason="stop_requested"),
    Fault("frozen", "a camera reported frozen", 0.200, camera(frozen), cameras_well, HELD,
          "camera_frozen"),
    Fault("dark", "a camera reported dark", 0.200, camera(dark), cameras_well, HELD,
          "camera_dark"),
    Fault("camera_stale", "a camera reported silent", 0.200, camera(camera_stale), cameras_well,
          HELD, "camera_stale"),
    Fault("ingest_silent", "camera_ingest silent", 0.200, camera(lambda message: None),
          cameras_well, HELD, "camera_health_lost"),
    Fault("joint_states", "joint states stop", 0.060, lambda rig: rig.silence("joint_states"),
          lambda rig: rig.silence("") and None, HELD, "joint_state_stale"),
    Fault("gate_kill", "gate killed", 0.070, send(GATE, signal.SIGKILL)),
    Fault("gate_stop", "gate stopped by SIGSTOP", 0.070, send(GATE, signal.SIGSTOP), go_on(GATE)),
    Fault("publisher_kill", "publisher killed", 0.200, send(PUBLISHER, signal.SIGKILL)),
    Fault("publisher_stop", "publisher stopped by SIGSTOP", 0.200, send(PUBLISHER, signal.SIGSTOP),
          go_on(PUBLISHER)),
    Fault("second_publisher", "a second publisher of commands", 1.0, second_publisher,
          one_publisher),
    Fault("disk_full", "no log can be written, then ~/stop", 0.160, full_disk_then_stop,
          lambda rig: rig.may_write(True), LATCHED, "stop_requested"),
    Fault("gil", "the gate's interpreter blocked for 0.5 s", 0.070, said("gil 500"), door=True),
    Fault("core", "an exception inside the gate", 0.160, said("raise check"), states=LATCHED,
          reason="internal_error", door=True),
    *INSIDE,
    *HAZARDS,
)  # fmt: skip
BY_NAME = {fault.name: fault for fault in FAULTS}
