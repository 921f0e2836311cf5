"""The sections of the robot file, but for the limits: keys, defaults and what is allowed."""

from __future__ import annotations

from dataclasses import dataclass

from vla_common.core.schema import param


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What the robot is."""

    name: str = param("name of the robot")
    joints: tuple[str, ...] = param("joint names in command order")
    grippers: tuple[str, ...] = param("those of the joints that are grippers", ())
    home: tuple[float, ...] = param("rest posture [rad or m], in the order of joints", ())
    urdf: str = param(
        "URDF: a path from the robot file's folder, or package://<package>/<path>; empty: none", ""
    )
    base_frame: str = param("URDF link of the base", "base_link")
    tcp_frame: str = param("URDF link of the tool centre point", "tcp")
    serial: str = param("serial number, shown in diagnostics", "")
    simulated: bool = param("start the simulator in place of drivers", False)


# The first five are decoded here, the others by cv_bridge where it is installed.
ENCODINGS = (
    "rgb8",
    "bgr8",
    "rgba8",
    "bgra8",
    "mono8",
    "mono16",
    "yuv422",
    "yuv422_yuy2",
    "uyvy",
    "yuyv",
    "bayer_rggb8",
    "bayer_bggr8",
    "bayer_gbrg8",
    "bayer_grbg8",
)


@dataclass(frozen=True, kw_only=True)
class Camera:
    """One camera; the size and encoding are checked against the bundle and each image."""

    topic: str = param("sensor_msgs/Image topic")
    width: int = param("[px]", low=8, high=8192)
    height: int = param("[px]", low=8, high=8192)
    encoding: str = param("sensor_msgs/Image encoding", "rgb8", choices=ENCODINGS)
    rate: float = param("[Hz] nominal", 30.0, above=0.0, high=1000.0)
    serial: str = param("serial number, shown in diagnostics", "")
    required: bool = param("whether inference stops when the stream is missing", True)


@dataclass(frozen=True, kw_only=True)
class CameraSync:
    """How images of several cameras are put together."""

    max_skew_ms: float = param(
        "largest difference of capture stamps in a set", 40.0, above=0.0, high=400.0
    )
    stale_ms: float = param("an image older than this is stale", 150.0, above=0.0, high=1500.0)
    frozen_frames: int = param("identical images in a row that mean frozen", 5, low=2, high=50)
    dark_mean: float = param("a 5x5 block with a lower mean is dark, 0..255", 8.0, low=0.0)
    dark_std: float = param("... if its standard deviation is also lower", 4.0, low=0.0)
    dark_blocks: int = param("dark blocks out of 25 that mean dark", 20, low=1, high=25)
    dark_frames: int = param("dark images in a row that are a fault", 10, low=1, high=100)


@dataclass(frozen=True, kw_only=True)
class Model:
    """Which model drives the robot."""

    bundle: str = param("bundle folder, or a name looked up under bundles/")
    backend: str = param("inference backend", "auto", choices=("auto", "onnxruntime"))
    threads: int = param("CPU threads of the backend; 0: the backend's choice", 1, low=0, high=64)
    instruction: str = param("instruction at start; empty: wait for /vla/instruction", "")


@dataclass(frozen=True, kw_only=True)
class FeatureCache:
    """When vision features are reused."""

    enabled: bool = param("reuse features while the scene is static", True)
    patch: int = param("[px] edge of the patches compared", 16, low=4, high=256)
    patch_threshold: float = param(
        "mean |difference| of a patch that is a change, 0..1", 0.01, above=0.0
    )
    max_age_ms: float = param("features older than this are never used", 100.0, above=0.0)
    monitor_every: int = param("re-encode every n-th hit to measure the error; 0: never", 20, low=0)
    max_error: float = param("relative L2 error that switches the cache off", 0.1, above=0.0)
    off_ms: float = param("how long it stays off after that", 10_000.0, above=0.0)


@dataclass(frozen=True, kw_only=True)
class Control:
    """The loop."""

    rate: float = param("[Hz] of /vla/actions", 20.0, low=1.0, high=200.0)
    blend: str = param(
        "how a new chunk joins the plan", "rtc", choices=("rtc", "ensemble", "align", "none")
    )
    blend_steps: int = param("steps over which a boundary is blended", 5, low=1, high=64)
    plan_steps: int = param("rows of /vla/actions", 8, low=2, high=256)
    max_chunk_age_ms: float = param(
        "a chunk older than this (by capture) is not played", 700.0, above=0.0, high=7000.0
    )
    inference_period_ms: float = param(
        "shortest time between inferences; 0: every set of images", 0.0, low=0.0
    )
    phase_lock: bool = param("move the 20 Hz phase to just after chunks arrive", True)


@dataclass(frozen=True, kw_only=True)
class Safety:
    """The gate. Upper bounds are about ten times the default: no timeout is as good as none."""

    step_ms: float = param("grid of the verified path", 10.0, low=1.0, high=50.0)
    lookahead_ms: float = param(
        "verified motion along the plan before the stop tail", 70.0, above=0.0, high=200.0
    )
    max_horizon_ms: float = param(
        "verified path at most; speed is limited so that it suffices", 200.0, above=0.0, high=2000.0
    )
    lease_ms: float = param(
        "the publisher ramps to hold when the lease is older", 50.0, low=30.0, high=500.0
    )
    max_action_age_ms: float = param(
        "/vla/actions older than this is stale", 100.0, above=0.0, high=1000.0
    )
    max_capture_age_ms: float = param(
        "a plan whose images are older than this is stale", 800.0, above=0.0, high=8000.0
    )
    future_ms: float = param("a stamp further in the future is refused", 20.0, low=0.0, high=200.0)
    no_chunk_ms: float = param("silence of the plan that means hold", 150.0, above=0.0, high=1500.0)
    jump_factor: float = param(
        "a plan is refused that begins further from the command than this x max_velocity x "
        "velocity_scale x its step, grippers apart; by the publisher a path, grippers too, further "
        "than this x max_velocity / control.rate",
        2.0,
        above=0.0,
        high=20.0,
    )
    joint_state_ms: float = param(
        "joint states older than this are stale; older than 50 ms, or this if it is more, behind "
        "15 ms and more in which the gate was not run",
        30.0,
        above=0.0,
        high=500.0,
    )
    tracking_tolerance: float = param(
        "[rad or m] command against measurement", 0.15, above=0.0, high=1.5
    )
    tracking_ticks: int = param(
        "measurements in a row beyond the tolerance that latch", 3, low=1, high=30
    )
    bad_shape_latch: int = param(
        "wrong names, order, size or step in a row that latch", 3, low=1, high=30
    )
    recover_ms: float = param(
        "a cause must be away this long before a hold ends", 200.0, low=0.0, high=10000.0
    )
    publisher_ms: float = param(
        "silence of the publisher that latches, and its time to follow after enable",
        250.0,
        above=0.0,
        high=2500.0,
    )
    estop_required: bool = param(
        "refuse to enable before an e-stop heartbeat was seen; where robot.simulated is true the "
        "default is false",
        True,
    )
    estop_timeout_ms: float = param(
        "e-stop heartbeat older than this trips", 125.0, low=80.0, high=1000.0
    )
    estop_plugin: str = param(
        "e-stop source in the gate's process: 'gpio', another entry point of vla_safety.estop, or "
        "module:Class; empty: none",
        "",
    )
    estop_chip: str = param("GPIO chip that estop_plugin 'gpio' reads", "/dev/gpiochip0")
    estop_line: int = param("line of that chip, low when pressed; -1: none", -1, low=-1)
    camera_watch: bool = param(
        "hold on camera faults on /vla/camera_health; false: for robots without cameras", True
    )
    camera_age_ms: float = param(
        "a camera, or /vla/camera_health, silent for longer means hold",
        150.0,
        above=0.0,
        high=1500.0,
    )
    camera_repeats: int = param("the same image so often in a row means hold", 5, low=2, high=50)
    camera_dark_frames: int = param("so many dark images in a row mean hold", 10, low=1, high=100)
    auto_enable: bool = param(
        "enable at activation without ~/enable; only where robot.simulated is true", False
    )
    velocity_scale: float = param("of all velocity limits", 1.0, low=0.001, high=1.0)
    follow_ms: float = param(
        "time constant for making good an error between plan and command",
        80.0,
        above=0.0,
        high=1000.0,
    )
    soft_start_ms: float = param("speed ramps up for this long after enable", 500.0, low=0.0)
    slow_scale: float = param("of the velocity limits in state SLOW", 0.3, above=0.0, high=1.0)
    low_confidence: float = param(
        "five plans in a row below this are followed slowly; 0: off", 0.0, low=0.0
    )
    hold_confidence: float = param("five plans in a row below this hold; 0: off", 0.0, low=0.0)


LEAD_NS = 10_000_000
"""A path of motion begins at least this long after the gate made it."""
HANDOVER_NS = 3_000_000
"""From the gate's decision through the publisher to the controller."""
TAKEOVER_NS = 1_000_000
"""From the publisher to the controller."""
MOST_SAMPLES = 500.0
"""[Hz] of a streamed output, unless more is asked for."""


@dataclass(frozen=True, kw_only=True)
class Controller:
    """What moves the arm."""

    type: str = param(
        "kind of output",
        "joint_trajectory",
        choices=("joint_trajectory", "forward_command", "joint_state"),
    )
    topic: str = param("command topic", "/joint_trajectory_controller/joint_trajectory")
    node: str = param(
        "full name of the controller's node; empty: what its topic lies under, such as "
        "/joint_trajectory_controller",
        "",
    )
    check_parameters: bool = param(
        "ask that node for its parameters, and refuse to enable when they do not fit", True
    )
    joint_states: str = param("sensor_msgs/JointState topic", "/joint_states")
    joint_state_rate: float = param("[Hz] nominal", 100.0, low=5.0, high=10000.0)
    update_rate: float = param(
        "[Hz] of the controller: a stop begins a period and 3 ms after it is made at the earliest, "
        "a path of motion likewise, and never before 10 ms",
        100.0,
        low=10.0,
    )
    command_rate: float = param(
        "[Hz] of the samples of forward_command and joint_state, between which the controller "
        "stands still; 0: update_rate, but no more than 500. A trajectory needs none",
        0.0,
        low=0.0,
        high=1000.0,
    )
    stamped: bool = param("trajectories say when they start; false: they start on arrival", True)
    dry_run: bool = param(
        "do everything but command the arm; what would be sent is on the publisher's ~/shadow, and "
        "compared with what the arm does meanwhile",
        False,
    )

    @property
    def lead_ns(self) -> int:
        """How long before it changes the motion a path must be sent, to be there in time."""
        return round(1e9 / self.update_rate) + HANDOVER_NS

    @property
    def period_ns(self) -> int:
        """Time between two samples of a streamed output."""
        return round(1e9 / (self.command_rate or min(self.update_rate, MOST_SAMPLES)))

    @property
    def takeover_ns(self) -> int:
        """How long the controller may take to follow what the publisher sends."""
        return round(1e9 / self.update_rate) + TAKEOVER_NS
