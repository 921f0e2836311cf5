"""Quality of service, named by purpose; the one place where it is chosen."""

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy


def _profile(
    depth: int,
    reliability: ReliabilityPolicy = ReliabilityPolicy.RELIABLE,
    durability: DurabilityPolicy = DurabilityPolicy.VOLATILE,
) -> QoSProfile:
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST, depth=depth, reliability=reliability, durability=durability
    )


IMAGES = _profile(2, ReliabilityPolicy.BEST_EFFORT)
RELIABLE_IMAGES = _profile(2)  # where the driver is reliable, too
JOINT_STATES = _profile(1, ReliabilityPolicy.BEST_EFFORT)
PLAN = _profile(1)
COMMAND = _profile(1)
HEARTBEAT = _profile(1)
MANY_HEARTBEATS = _profile(16)  # of several senders: none may hide another
LATCHED = _profile(1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
TRANSITIONS = _profile(64)
EVENTS = _profile(10)
DIAGNOSTICS = _profile(10)
