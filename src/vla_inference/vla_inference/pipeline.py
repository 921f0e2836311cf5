"""The pipeline process: camera_ingest, feature_cache and vla_inference hand objects on in memory.

A set of images goes from the executor's thread to the inference thread through a latest-wins
mailbox; features are encoded on the inference thread, right before the policy.
"""

from __future__ import annotations

from typing import Any

from vla_camera.core.sync import Frames
from vla_camera.node import CameraIngest
from vla_common.core.mailbox import Mailbox
from vla_common.node import VlaNode, run
from vla_features.core.stage import batch_encoder
from vla_features.node import FeatureCacheNode
from vla_inference.core.backend import Backend
from vla_inference.core.bundle import Bundle
from vla_inference.node import VlaInference


def make_nodes() -> list[VlaNode]:
    """Return the three nodes, wired."""
    frames: Mailbox[Frames] = Mailbox()
    camera = CameraIngest(sink=frames.put)
    cache = FeatureCacheNode(alone=False)

    def observe(timeout: float) -> Any:
        newest = frames.take(timeout)
        return None if newest is None or not cache.active else cache.process(newest)

    def use(bundle: Bundle, backend: Backend) -> None:
        names = tuple(spec.name for spec in bundle.cameras)
        cache.set_encoder(batch_encoder(backend.vision, names), bundle.model_id, names)

    return [camera, cache, VlaInference(observe=observe, on_loaded=use)]


def main() -> int:
    """Run the pipeline until SIGINT or SIGTERM."""
    return run(make_nodes, share=True)
