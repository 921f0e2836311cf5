"""camera_ingest: takes the cameras' images, hands synchronised sets of usable ones on."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from rclpy.clock import Clock, ClockType
from sensor_msgs.msg import Image
from vla_msgs.msg import CameraFrames, CameraHealth

from vla_camera.bridge import decoder_for
from vla_camera.core.health import POLL_NS, HealthBeat
from vla_camera.core.ingest import Ingest
from vla_camera.core.stream import Stream
from vla_camera.core.sync import Frames
from vla_camera.messages import frames_to_msg, health_to_msg
from vla_camera.reliability import ImageSubscription
from vla_camera.status import frames_status, image_status, topic_status
from vla_common.convert import stamp_to_ns
from vla_common.core.deadline import DeadlineLoop
from vla_common.node import VlaNode, run
from vla_common.qos import HEARTBEAT, IMAGES

Sink = Callable[[Frames], None]
_LOG_AGAIN_NS = 10_000_000_000
ADAPT_PERIOD = 1.0  # [s] between looks at what the drivers offer


class CameraIngest(VlaNode):
    """Each set goes to ``sink``, in this process, and to /vla/frames while someone subscribes.

    Images of a required camera that is missing, frozen or dark complete no set: inference gets
    nothing. What is wrong with which camera goes to /vla/camera_health, and the gate holds the arm.
    """

    def __init__(self, sink: Sink | None = None, **kwargs: Any) -> None:
        super().__init__("camera_ingest", **kwargs)
        self._sink = sink
        self._logged: dict[str, tuple[str, int]] = {}
        self._images: list[ImageSubscription] = []
        self._timer: Any = None
        self._publisher: Any = None
        self._health: Any = None
        self._loop: DeadlineLoop | None = None

    def setup(self) -> None:
        """Subscribe to the cameras of the robot file."""
        robot = self.robot
        decoders = {
            name: decoder_for(name, camera, robot.source)
            for name, camera in zip(robot.camera_names, robot.cameras)
        }
        self.ingest = Ingest(robot, decoders)
        self._publisher = self.create_publisher(CameraFrames, "/vla/frames", IMAGES)
        self._health = self.create_publisher(CameraHealth, "/vla/camera_health", HEARTBEAT)
        for index, stream in enumerate(self.ingest.streams):
            self._diagnose(stream)
            self._images.append(
                ImageSubscription(self, stream.camera.topic, partial(self._receive, index))
            )
        clock = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = self.create_timer(ADAPT_PERIOD, self._adapt, clock=clock)
        self.diagnostics.add(
            "Frames", lambda stat: frames_status(stat, self.ingest, self.active, self._now())
        )

    def _diagnose(self, stream: Stream) -> None:
        for what, task in (("topic", topic_status), ("image", image_status)):
            self.diagnostics.add(
                f"{stream.name} {what}",
                partial(self._report, task, stream),
                stream.camera.serial or None,
            )

    def _report(self, task: Callable[..., Any], stream: Stream, stat: Any) -> Any:
        return task(stat, stream, self.active, self._now())

    def start(self) -> None:
        """Begin anew: what came before does not count."""
        self._logged.clear()
        self.ingest.restart(self._now())
        beat = HealthBeat(self.ingest.streams, self.robot)
        self._loop = DeadlineLoop("camera_health", POLL_NS, partial(self._beat, beat), self.fatal)
        self._loop.start()

    def pause(self) -> None:
        """Fall silent."""
        loop, self._loop = self._loop, None
        if loop is not None:
            loop.stop()

    def _beat(self, beat: HealthBeat, now_ns: int, deadline_ns: int) -> None:
        health = beat.due(now_ns)
        if health is not None:
            self._health.publish(health_to_msg(health, now_ns, self.now_ros_ns()))

    def teardown(self) -> None:
        """Remove the timer, the subscriptions and the publishers."""
        timer, self._timer = self._timer, None
        if timer is not None:
            self.destroy_timer(timer)
        for subscription in self._images:
            subscription.destroy()
        self._images.clear()
        for publisher in (self._publisher, self._health):
            if publisher is not None:
                self.destroy_publisher(publisher)
        self._publisher = self._health = None

    def _adapt(self) -> None:
        try:
            for subscription in self._images:
                subscription.adapt()
        except Exception as error:  # an executor would end without a word
            self.fatal(error)

    @staticmethod
    def _now() -> int:
        return time.monotonic_ns()

    def _receive(self, index: int, message: Image) -> None:
        if not self.active:
            return
        try:
            now_ns = self._now()
            frames = self.ingest.add(
                index, message, stamp_to_ns(message.header.stamp), self.now_ros_ns(), now_ns
            )
            if frames is not None:
                self._hand_on(frames)
            else:
                self._log_fault(self.ingest.streams[index], now_ns)
        except Exception as error:  # an executor would end without a word
            self.fatal(error)

    def _hand_on(self, frames: Frames) -> None:
        if self._sink is not None:
            self._sink(frames)
        if self._publisher.get_subscription_count() > 0:
            self._publisher.publish(frames_to_msg(frames))

    def _log_fault(self, stream: Stream, now_ns: int) -> None:
        """Say once, and again after a while, that images of a camera are not used."""
        look = stream.quality.look
        if stream.error is not None:
            kind, text = stream.error.key, f"the image's {stream.error}"
        elif look.frozen or look.dark:
            kind = text = "the image is frozen" if look.frozen else "the image is dark"
        else:
            return
        last_kind, last_ns = self._logged.get(stream.name, ("", 0))
        if kind == last_kind and now_ns - last_ns < _LOG_AGAIN_NS:
            return
        self._logged[stream.name] = (kind, now_ns)
        self.get_logger().error(
            f"camera {stream.name!r} on {stream.camera.topic} is not used: {text}"
        )


def main() -> int:
    """Run camera_ingest alone; the sets go to /vla/frames."""
    return run(lambda: [CameraIngest()], share=True)


if __name__ == "__main__":
    sys.exit(main())
