"""Faults of the arm, of where it is led, of its controller; and those inside the gate."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from fault import HELD, LATCHED, Fault, said, tampered, untampered
from faulty_gate import CALLBACKS
from rig import Measured, Rig
from std_srvs.srv import Trigger
from vla_msgs.msg import SystemHealth

from vla_common import qos

CMD_TIMEOUT = 0.5
"""What the simulated controller has."""
ASKED = 1.0
"""[s] The publisher asks every 0.4 s, looks at answers every 250 ms, and goes along its path."""
SETTLED = 0.15
"""[s] after the arm has begun to slow, by when it is as slow as SLOW asks."""


# --- where the plan leads ----------------------------------------------------------------------
def led(**speeds: float) -> Callable[[Rig], int]:
    """Return the injection of plans that lead joints away at so many rad/s."""

    def inject(rig: Rig) -> int:
        rig.source.drift(**speeds)
        return tampered(lambda message: None)(rig)

    return inject


def led_back(rig: Rig) -> None:
    """Send plans that lead nowhere but on the circle."""
    untampered(rig)
    rig.source.drift()


def too_near(rig: Rig) -> str:
    """Return in words whether the arm was told to come nearer to something than it may.

    Every second desired state is looked at: they are 5 ms apart, what the gate looks at is 10.
    """
    return rig.space.too_near([s.position for s in rig.watcher.desired[-500::2]])


def led_into(name: str, what: str, variant: str, reason: str, **speeds: float) -> Fault:
    """Return the fault of a plan that leads into something: it is nearer than `slow_distance`."""
    return Fault(name, what, 0.160, led(**speeds), led_back, HELD, reason, variant=variant,
                 check=too_near)  # fmt: skip


# --- what the arm does -------------------------------------------------------------------------
def held_fast(share: float) -> Callable[[Rig], int]:
    """Return the injection; the fault is there when the arm has fallen behind.

    ``share`` of `tracking_tolerance` is when that is.
    """

    def inject(rig: Rig) -> int:
        robot = rig.graph.robot
        begun_ns = rig.set("held", ",".join(robot.joints))
        far = share * robot.safety.tracking_tolerance
        return rig.since(begun_ns, lambda measured: measured.error > far)

    return inject


def held_before(rig: Rig) -> str:
    """Return in words when the arm was not held before it latched."""
    return "" if rig.watcher.counts.get("arm_lags_behind", 0) else "no hold came before the latch"


def not_pulled(rig: Rig) -> str:
    """Return in words whether the command goes on to leave an arm that is held fast."""
    begun_ns = time.monotonic_ns()
    time.sleep(0.6)
    furthest = max(m.error for m in list(rig.measured) if m.ns > begun_ns)
    tolerance = rig.graph.robot.safety.tracking_tolerance
    return "" if furthest <= tolerance else f"commanded {furthest:.3f} rad from where it is held"


def free(rig: Rig) -> None:
    """Let the joints go."""
    rig.set("held", "")


def moved(joint: str, by: float) -> Callable[[Rig], int]:
    """Return the injection of a joint that is measured beside where it is, at once."""

    def inject(rig: Rig) -> int:
        index = rig.graph.robot.joints.index(joint)
        before = rig.measured[-1].q[index]

        def seen(measured: Measured) -> bool:
            return abs(measured.q[index] - before) > 0.8 * by

        return rig.since(rig.set("offset", f"{joint}={by}"), seen)

    return inject


def measured_well(rig: Rig) -> None:
    """Let every joint be measured where it is."""
    rig.set("offset", "")


# --- confidence --------------------------------------------------------------------------------
def confidence(value: float) -> Callable[[Rig], int]:
    """Return the injection of plans of which the policy is no longer sure."""

    def change(message: Any) -> None:
        message.confidence = value

    return tampered(change)


def slow(rig: Rig) -> str:
    """Return in words whether the arm became slower than SLOW allows."""
    time.sleep(SETTLED)
    robot = rig.graph.robot
    allowed = 1.02 * robot.safety.slow_scale * robot.bound("max_velocity")
    fastest = max((np.abs(s.velocity) / allowed).max() for s in rig.watcher.desired[-5:])
    return "" if fastest <= 1.0 else f"{fastest:.2f} of the speed that SLOW allows"


# --- the controller ----------------------------------------------------------------------------
def gone(rig: Rig) -> int:
    """Let the controller's node go."""
    now_ns = time.monotonic_ns()
    rig.stand_in.leave()
    return now_ns


def mute(rig: Rig) -> int:
    """Let the controller's node answer nothing more."""
    now_ns = time.monotonic_ns()
    rig.stand_in.fall_silent()
    return now_ns


def back(rig: Rig) -> None:
    """Let the controller's node be there, and answer."""
    rig.stand_in.come()


# --- inside the gate ---------------------------------------------------------------------------
def raising(name: str) -> Callable[[Rig], int]:
    """Return the injection of an exception; what the graph does not send by itself is sent."""

    def inject(rig: Rig) -> int:
        now_ns = rig.say(f"raise {name}")
        if name == "_on_system_health":
            node = rig.watcher.node
            publisher = node.create_publisher(SystemHealth, "/vla/system_health", qos.HEARTBEAT)
            for _ in range(40):  # it takes a moment until the two know each other
                publisher.publish(SystemHealth(sent_ns=time.monotonic_ns()))
                time.sleep(0.005)
            node.destroy_publisher(publisher)
        elif name == "stop":
            time.sleep(0.05)  # the word must be there before the call
            now_ns = time.monotonic_ns()
            rig.watcher.services["stop"].call_async(Trigger.Request())
        return now_ns

    return inject


def stepped(name: str, seconds: float) -> Fault:
    """Return the fault of a clock that steps."""
    word = f"clock {round(seconds * 1e9)}"
    return Fault(name, f"ROS time of the gate steps by {seconds:g} s", 0.040, said(word),
                 lambda rig: rig.say("clock 0") and None, HELD, "clock_jump",
                 door=True)  # fmt: skip


def internal(name: str, what: str, call: str) -> Fault:
    """Return the fault of an exception that the core catches."""
    return Fault(name, what, 0.160, raising(call), states=LATCHED, reason="internal_error",
                 door=True)  # fmt: skip


INSIDE = (
    *(
        Fault(f"raise{name[3:]}", f"an exception in the gate's callback {name[1:]}", 0.160,
              raising(name), door=True)
        for name in CALLBACKS
    ),
    internal("raise_in_service", "an exception inside ~/stop", "stop"),
    internal("raise_in_store", "an exception where joint states are stored", "update"),
    internal("raise_in_loop", "an exception in the gate's loop", "settle"),
    stepped("clock", 0.2),
    stepped("clock_back", -0.1),
    stepped("clock_hour", 3600.0),
    stepped("clock_hour_back", -3600.0),
)  # fmt: skip
HAZARDS = (
    Fault("held_fast", "the arm is held fast", 0.150, held_fast(0.3), free, HELD,
          "arm_lags_behind", check=not_pulled),
    Fault("held_fast_at_speed", "the arm is held fast at 1.2 rad/s", 0.150, held_fast(0.3), free,
          HELD, "arm_lags_behind", speed=1.2, check=held_before),
    Fault("moved", "a joint is measured 0.2 rad beside its command", 0.150, moved("joint5", 0.2),
          measured_well, LATCHED, "tracking_error"),
    Fault("outside", "a joint is measured outside its limits", 0.050, moved("joint5", 0.02),
          measured_well, HELD, "joint_outside_limits", variant="strict"),
    led_into("into_object", "a plan into a declared object", "near", "collision", joint2=0.4),
    led_into("out_of_workspace", "a plan out of the workspace", "near", "workspace",
             joint2=-0.4),
    led_into("keep_out", "a plan into a keep-out zone", "keep_out", "workspace", joint2=0.4),
    led_into("into_itself", "a plan into the arm itself", "folded", "collision",
             joint4=-0.4, joint6=-0.6),
    Fault("unsure", "the policy is not sure: SLOW", 0.280, confidence(0.45), untampered,
          ("SLOW",), "low_confidence", variant="strict", rests=False, check=slow),
    Fault("lost", "the policy does not know: hold", 0.280, confidence(0.1), untampered, HELD,
          "low_confidence", variant="strict"),
    Fault("cmd_timeout", "cmd_timeout of the controller set to 0", ASKED,
          lambda rig: rig.set("cmd_timeout", 0.0),
          lambda rig: rig.set("cmd_timeout", CMD_TIMEOUT) and None, LATCHED, "publisher"),
    Fault("controller_gone", "the controller's node is gone", 1.0, gone, back, LATCHED,
          "publisher", variant="stand_in"),
    Fault("controller_mute", "the controller's node does not answer", 3.3, mute, back, LATCHED,
          "publisher", variant="stand_in"),
)  # fmt: skip
