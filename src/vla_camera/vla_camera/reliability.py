"""Subscribing to a camera as reliably as its driver publishes.

Reliable publishers and best-effort subscribers match, but what is lost on the way is then not
sent again. Where images are larger than the shared memory of the middleware, 512 KB in Fast DDS
as it comes, they go through UDP in many pieces and most of them are lost. A reliable subscriber
loses none, but does not match a driver that publishes best effort. So the subscription takes after
the publishers it finds; rclpy's BEST_AVAILABLE does so only once, at creation, and not on Humble.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.qos import ReliabilityPolicy
from sensor_msgs.msg import Image

from vla_common.qos import IMAGES, RELIABLE_IMAGES


def all_reliable(publishers: list[Any]) -> bool:
    """Return whether there are publishers and each of them is reliable."""
    reliable = ReliabilityPolicy.RELIABLE
    return bool(publishers) and all(p.qos_profile.reliability == reliable for p in publishers)


class ImageSubscription:
    """The subscription to one camera. :meth:`adapt` belongs on the executor's thread."""

    def __init__(self, node: Any, topic: str, callback: Callable[[Image], None]) -> None:
        self._node = node
        self._topic = topic
        self._callback = callback
        self.reliable = all_reliable(self._publishers())
        self._subscription = self._make()

    def _publishers(self) -> list[Any]:
        found: list[Any] = self._node.get_publishers_info_by_topic(self._topic)
        return found

    def _make(self) -> Any:
        qos = RELIABLE_IMAGES if self.reliable else IMAGES
        return self._node.create_subscription(Image, self._topic, self._callback, qos)

    def adapt(self) -> None:
        """Subscribe anew when the publishers are not what they were; keep on without any."""
        publishers = self._publishers()
        if not publishers or all_reliable(publishers) == self.reliable:
            return
        self.reliable = not self.reliable
        old, self._subscription = self._subscription, self._make()
        self._node.destroy_subscription(old)

    def destroy(self) -> None:
        """Remove the subscription."""
        self._node.destroy_subscription(self._subscription)
