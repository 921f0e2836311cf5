"""feature_cache: vision features of the cameras' images, encoded only when the scene changed."""

from __future__ import annotations

import importlib
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from vla_msgs.msg import CameraFrames, VisionFeatures

from vla_camera.core.image import ImageError
from vla_camera.core.sync import Frames
from vla_common.core.errors import UserError
from vla_common.core.mailbox import Mailbox
from vla_common.core.robot import Robot
from vla_common.node import VlaNode, run
from vla_common.qos import IMAGES, PLAN
from vla_features.core.cache import CacheSettings, FeatureCache
from vla_features.core.stage import Encode, Features, VisionStage, batch_encoder
from vla_features.messages import features_to_msg, frames_from_msg
from vla_features.status import cache_status

_WAIT = 0.1  # [s] after which the worker looks whether it shall end


def settings_of(robot: Robot) -> CacheSettings:
    """Return the cache's settings out of the robot file."""
    section = robot.cache
    return CacheSettings(
        enabled=section.enabled,
        patch=section.patch,
        patch_threshold=section.patch_threshold,
        max_age_ns=round(section.max_age_ms * 1e6),
        monitor_every=section.monitor_every,
        max_error=section.max_error,
        off_ns=round(section.off_ms * 1e6),
    )


class FeatureCacheNode(VlaNode):
    """In the pipeline process others call :meth:`process`; alone it works over topics.

    ``alone`` False: an encoder comes through :meth:`set_encoder` and nothing is subscribed.
    """

    def __init__(self, alone: bool = True, **kwargs: Any) -> None:
        super().__init__("feature_cache", **kwargs)
        self._alone = alone
        self._box: Mailbox[CameraFrames] = Mailbox()
        self._worker: threading.Thread | None = None
        self._running = False
        self._close_encoder: Callable[[], None] = lambda: None
        self._encoder: tuple[Encode, str, tuple[str, ...]] | None = None
        self._subscription: Any = None
        self._publisher: Any = None
        self.stage: VisionStage | None = None

    def set_encoder(
        self, encode: Encode, model_id: str, cameras: tuple[str, ...] | None = None
    ) -> None:
        """Use ``encode`` of the model ``model_id`` for ``cameras`` (the robot's when None).

        Forgets all features. May be called before or after configure.
        """
        self._encoder = (encode, model_id, cameras or ())
        if hasattr(self, "robot"):
            self._make_stage()

    def _make_stage(self) -> None:
        if self._encoder is None:
            return
        encode, model_id, cameras = self._encoder
        cache = FeatureCache(settings_of(self.robot), model_id)
        cameras = cameras or self.robot.camera_names
        self.stage = VisionStage(cameras, cache, encode, time.monotonic_ns)

    def process(self, frames: Frames) -> Features | None:
        """Return the features of ``frames``; also published while someone subscribes.

        None when there is no image of the model's cameras, or no encoder. Call it from one
        thread only.
        """
        if self.stage is None:
            return None
        features = self.stage.process(frames)
        if features is not None and self._publisher.get_subscription_count() > 0:
            self._publisher.publish(features_to_msg(features))
        return features

    # --- lifecycle ----------------------------------------------------------------------------
    def setup(self) -> None:
        """Load the encoder when alone; publish, and subscribe when alone."""
        if self._alone and self._encoder is None:
            self._load_encoder()
        self._make_stage()
        self._publisher = self.create_publisher(VisionFeatures, "/vla/features", PLAN)
        if self._alone:
            self._subscription = self.create_subscription(
                CameraFrames, "/vla/frames", self._box.put, IMAGES
            )
        self.diagnostics.add("Cache", self._status)

    def _load_encoder(self) -> None:
        """Open the vision graph of the robot's bundle."""
        # vla_inference depends on this package, so that this import cannot stand at the top.
        try:
            backends = importlib.import_module("vla_inference.core.backend")
            bundles = importlib.import_module("vla_inference.core.bundle")
        except ImportError as error:
            raise UserError(
                f"feature_cache alone needs the package vla_inference: {error}"
            ) from error
        bundle = bundles.load(bundles.find(self.robot.model.bundle))
        bundles.check_robot(bundle, self.robot)
        backend = backends.open_backend(bundle, self.robot.model)
        self._close_encoder = backend.close
        cameras = tuple(camera.name for camera in bundle.cameras)
        self._encoder = (batch_encoder(backend.vision, cameras), bundle.model_id, cameras)

    def start(self) -> None:
        """Start the worker when alone."""
        if self.stage is not None:
            self.stage.cache.clear()
        if not self._alone:
            return
        self._running = True
        self._worker = threading.Thread(target=self._work, name="feature_cache", daemon=True)
        self._worker.start()

    def pause(self) -> None:
        """Stop the worker."""
        self._running = False
        if self._worker is not None and self._worker is not threading.current_thread():
            self._worker.join(2.0)
        self._worker = None

    def teardown(self) -> None:
        """Release what setup took."""
        if self._subscription is not None:
            self.destroy_subscription(self._subscription)
        if self._publisher is not None:
            self.destroy_publisher(self._publisher)
        self._subscription = self._publisher = self.stage = None
        if self._alone:
            self._close_encoder()
            self._close_encoder, self._encoder = lambda: None, None

    # --- while running ------------------------------------------------------------------------
    def _work(self) -> None:
        try:
            while self._running:
                message = self._box.take(_WAIT)
                if message is None or not self.active:
                    continue
                try:
                    frames = frames_from_msg(message)
                except ImageError as error:
                    self.get_logger().error(
                        f"a set on /vla/frames is not used: {error}", throttle_duration_sec=10.0
                    )
                    continue
                self.process(frames)
        except Exception as error:  # the thread would end without a word
            self.fatal(error)

    def _status(self, stat: Any) -> Any:
        cache = self.stage.cache if self.stage is not None else None
        return cache_status(stat, cache, self.active, time.monotonic_ns())


def main() -> int:
    """Run feature_cache alone: /vla/frames in, /vla/features out."""
    return run(lambda: [FeatureCacheNode()], share=True)


if __name__ == "__main__":
    sys.exit(main())
