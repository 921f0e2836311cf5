"""The ``sim_arm`` node: the simulated arm and its cameras, as their drivers would appear."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rcl_interfaces.msg import ParameterDescriptor, SetParametersResult
from rclpy.parameter import Parameter
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory
from vla_msgs.msg import Instruction, TaskState
from vla_msgs.srv import ResetScene

from vla_common import qos
from vla_common.convert import ns_to_stamp
from vla_common.core.clock import read_both
from vla_common.core.deadline import DeadlineLoop
from vla_common.core.errors import ConfigError, UserError
from vla_common.node import VlaNode, run
from vla_sim import camera_process, controller_parameters, report
from vla_sim.camera_process import CameraProcess, Order, Setup, Stream
from vla_sim.cli import ros_arguments
from vla_sim.convert import fill_joint_state, task_to_msg, trajectory_from_msg
from vla_sim.core import arm_faults, faults, streams
from vla_sim.core.arm_faults import ArmFaults
from vla_sim.core.faults import Faults
from vla_sim.core.motion_log import MotionLog
from vla_sim.core.scene import Scene
from vla_sim.core.world import World

PERIOD_NS = 5_000_000  # 200 Hz, as the robot file's controller.update_rate says
STATES_EVERY = 2  # control cycles: joint states at 100 Hz
# SCHED_FIFO of the process and of the control loop: a real arm does not wait for the computer that
# commands it.
PRIORITY = 20
TASK_EVERY = 10  # control cycles


class SimArm(VlaNode):
    """Physics and control in a loop here, the cameras in a process of their own.

    That process takes ``environment``, by which Fast DDS may get other settings there.
    """

    world: World

    def __init__(self, environment: Mapping[str, str] = os.environ, **kwargs: Any) -> None:
        super().__init__("sim_arm", **kwargs)
        self._environment = environment
        self._seed = self.own("seed", 0, "places of the cubes at start, >= 0")
        self._video = self.own(
            "video", "", "file to record front camera and spectator; empty: none"
        )
        self._record = self.own(
            "record", "", "folder for arm.csv, a log of the motion; empty: none"
        )
        self._loops: list[DeadlineLoop] = []
        self._camera: CameraProcess | None = None
        self._log: MotionLog | None = None
        self._cycles = 0
        self.rates = report.Rates()

    # --- lifecycle ----------------------------------------------------------------------------
    def setup(self) -> None:
        """Build the world and the cameras; publishers, subscriptions, service, diagnostics."""
        streams.check(self.robot)
        if not isinstance(self._seed, int) or self._seed < 0:
            raise ConfigError("sim_arm", "seed", self._seed, "a whole number >= 0")
        self.world = World(self._seed, PERIOD_NS)
        self.world.instruct(self.robot.model.instruction, time.monotonic_ns())
        if self._record:
            self._log = MotionLog(Path(self._record) / "arm.csv", Scene.JOINTS)
        self._camera = CameraProcess(self._camera_setup(), self._environment)
        self._declare_faults()
        controller_parameters.declare(self)
        self._connect()
        self.diagnostics.add(
            "Controller", lambda stat: report.controller(stat, self.world, self.rates)
        )
        self.diagnostics.add("Loop", lambda stat: report.loops(stat, self._loops, self._camera))
        self._camera.wait()

    def _camera_setup(self) -> Setup:
        cameras = zip(self.robot.camera_names, self.robot.cameras)
        return Setup(
            f"{self.get_name()}_cameras",
            self.get_namespace(),
            tuple(
                Stream(n, self.resolve_topic_name(c.topic), c.width, c.height, c.encoding)
                for n, c in cameras
            ),
            self._video,
            self.world.snapshot(),
        )

    def _connect(self) -> None:
        robot = self.robot
        self._states = self.create_publisher(JointState, robot.controller.joint_states, qos.EVENTS)
        self._desired = self.create_publisher(JointState, "~/desired", qos.EVENTS)
        self._task = self.create_publisher(TaskState, "~/task_state", qos.EVENTS)
        self.create_subscription(
            JointTrajectory, robot.controller.topic, self._on_trajectory, qos.COMMAND
        )
        self.create_subscription(Instruction, "/vla/instruction", self._on_instruction, qos.LATCHED)
        self.create_service(ResetScene, "~/reset", self._on_reset)
        self._messages = {k: JointState(name=list(Scene.JOINTS)) for k in ("measured", "desired")}

    def start(self) -> None:
        """Start both loops."""
        camera_ns = round(1e9 / self.robot.cameras[0].rate)
        self._loops = [
            DeadlineLoop("control", PERIOD_NS, self._control, self.fatal, PRIORITY),
            DeadlineLoop("cameras", camera_ns, self._cameras, self.fatal, camera_process.PRIORITY),
        ]
        for loop in self._loops:
            loop.start()

    def pause(self) -> None:
        """Stop both loops; simulated time stands still."""
        loops, self._loops = self._loops, []
        for loop in loops:
            loop.stop()
        if hasattr(self, "world"):
            self.world.suspend()

    def teardown(self) -> None:
        """Finish the log and the video, end the cameras' process."""
        camera, self._camera = self._camera, None
        log, self._log = self._log, None
        if log is not None:
            log.close()
        if camera is not None:
            camera.close()

    # --- loops --------------------------------------------------------------------------------
    def _ros_minus_mono_ns(self) -> int:
        ros_ns, mono_ns = read_both(self.now_ros_ns, time.monotonic_ns)
        return ros_ns - mono_ns

    def _stamp(self, mono_ns: int) -> Any:
        return ns_to_stamp(mono_ns + self._ros_minus_mono_ns())

    def _control(self, now_ns: int, deadline_ns: int) -> None:
        cycle = self.world.cycle(deadline_ns or now_ns)
        stamp = self._stamp(cycle.now_ns)
        measured = self._cycles % STATES_EVERY == 0
        if measured and not self._faults.silent(streams.JOINT_STATES):
            message = fill_joint_state(self._messages["measured"], stamp, cycle.q, cycle.dq)
            self._states.publish(message)
        if self._desired.get_subscription_count():
            desired = cycle.desired
            message = fill_joint_state(self._messages["desired"], stamp, desired.q, desired.dq)
            self._desired.publish(message)
        self._cycles += 1
        if self._cycles % TASK_EVERY == 0:
            self._task.publish(task_to_msg(self.world.task(cycle.now_ns), stamp))
        if measured and self._log is not None:
            self._log.add(cycle.now_ns, cycle.desired.q, cycle.desired.dq, cycle.q, cycle.dq)

    def _cameras(self, now_ns: int, deadline_ns: int) -> None:
        assert self._camera is not None
        captured_ns = time.monotonic_ns()
        self._camera.shoot(
            Order(
                self.world.snapshot(),
                captured_ns,
                captured_ns + self._ros_minus_mono_ns(),
                self.world.caption(captured_ns) if self._video else "",
                self._faults.names(),
            )
        )

    # --- callbacks ----------------------------------------------------------------------------
    def _on_trajectory(self, message: JointTrajectory) -> None:
        now_ns = time.monotonic_ns()
        trajectory = trajectory_from_msg(message, self._ros_minus_mono_ns())
        reason = self.world.controller.command(trajectory, now_ns)
        self.rates.command(now_ns, reason)
        if reason:
            self.get_logger().warning(f"trajectory rejected: {reason}", throttle_duration_sec=1.0)

    def _on_instruction(self, message: Instruction) -> None:
        self.world.instruct(message.text, time.monotonic_ns())

    def _on_reset(self, request: ResetScene.Request, response: ResetScene.Response) -> Any:
        response.message = self.world.reset(request.seed, time.monotonic_ns())
        response.success = not response.message
        return response

    def _declare_faults(self) -> None:
        self._faults = Faults(self.robot.camera_names)
        self._faulty: dict[str, Faults | ArmFaults] = {
            **dict.fromkeys(faults.ABOUT, self._faults),
            **dict.fromkeys(arm_faults.ABOUT, self.world.faults),
        }
        for kind, about in {**faults.ABOUT, **arm_faults.ABOUT}.items():
            if not self.has_parameter(kind):
                self.declare_parameter(kind, "", ParameterDescriptor(description=about))
            self._faulty[kind].set(kind, self.get_parameter(kind).value)
        self.add_on_set_parameters_callback(self._on_parameters)

    def _on_parameters(self, parameters: list[Parameter]) -> SetParametersResult:
        for parameter in parameters:
            if parameter.name in self._faulty:
                try:
                    self._faulty[parameter.name].set(parameter.name, str(parameter.value))
                except UserError as error:
                    return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)


def main() -> int:
    """Run the node until SIGINT or SIGTERM."""
    sys.argv = ros_arguments(sys.argv)
    environment = dict(os.environ)  # with the shared memory that the images go through
    return run(lambda: [SimArm(environment)], priority=PRIORITY, control=True)


if __name__ == "__main__":
    sys.exit(main())
