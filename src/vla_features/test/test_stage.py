"""The vision stage: one batch of what changed, features in the model's order, nothing stale."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vla_camera.core.sync import Frames
from vla_common.core.errors import InternalError
from vla_common.core.trace import Trace
from vla_features.core.cache import CacheSettings, FeatureCache
from vla_features.core.stage import NO_AGE, VisionStage, batch_encoder

MS = 1_000_000
CAMERAS = ("front", "wrist")


class Bench:
    """A stage on a clock of its own; its encoder gives an image's mean, camera index added."""

    def __init__(self, cameras=CAMERAS, **changes):
        self.now_ns = 10_000 * MS
        self.batches = []
        self.encode_ns = 8 * MS
        settings = CacheSettings(**{"monitor_every": 0, **changes})
        encode = batch_encoder(self.vision, cameras)
        self.stage = VisionStage(
            cameras, FeatureCache(settings, "m@1"), encode, lambda: self.now_ns
        )

    def vision(self, images, cameras):
        self.batches.append(cameras.tolist())
        self.now_ns += self.encode_ns
        means = images.mean(axis=(1, 2, 3)) + 1000 * cameras
        return np.broadcast_to(means[:, None, None], (len(images), 3, 2)).astype(np.float32)

    def frames(self, delay_ms=5, **levels):
        capture_ns = self.now_ns - delay_ms * MS
        return Frames(
            images={n: np.full((32, 32, 3), level, np.uint8) for n, level in levels.items()},
            captures_ns=dict.fromkeys(levels, capture_ns),
            capture_ns=capture_ns,
            stamp_ns=capture_ns + 10**18,
            skew_ns=0,
            trace=Trace(capture_ns=capture_ns, ingest_ns=self.now_ns),
        )

    def run(self, **levels):
        return self.stage.process(self.frames(**levels))


def test_both_cameras_are_encoded_in_one_batch():
    bench = Bench()
    features = bench.run(front=10, wrist=20)
    assert bench.batches == [[0, 1]]
    assert features.features.shape == (2, 3, 2)
    assert features.features.dtype == np.float32
    assert features.features[:, 0, 0].tolist() == [10, 1020]
    assert features.reused == (False, False)
    assert features.trace.features_ns == bench.now_ns
    assert features.ages_ms == (5.0, 5.0)
    assert not features.features.flags.writeable


def test_only_what_changed_is_encoded():
    bench = Bench()
    bench.run(front=10, wrist=20)
    bench.now_ns += 20 * MS
    frames = bench.frames(front=10, wrist=60)
    features = bench.stage.process(frames)
    assert bench.batches == [[0, 1], [1]]
    assert features.reused == (True, False)
    assert features.features[:, 0, 0].tolist() == [10, 1060]
    assert features.ages_ms == (8 + 20 + 5, 5)
    assert (features.capture_ns, features.stamp_ns) == (frames.capture_ns, frames.stamp_ns)


def test_a_static_scene_costs_no_encoding_until_the_age():
    bench = Bench(max_age_ns=100 * MS)
    for _ in range(6):
        bench.run(front=10, wrist=20)
        bench.now_ns += 30 * MS
    assert bench.batches == [[0, 1], [0, 1]]


def test_order_of_the_set_does_not_matter_and_other_cameras_are_ignored():
    bench = Bench()
    features = bench.run(spectator=99, wrist=20, front=10)
    assert features.cameras == CAMERAS
    assert features.features[:, 0, 0].tolist() == [10, 1020]


def test_a_missing_camera_has_zero_features():
    features = Bench().run(wrist=20)
    assert features.features[:, 0, 0].tolist() == [0, 1020]
    assert features.ages_ms[0] == NO_AGE
    assert features.reused == (False, False)


def test_a_set_without_the_models_cameras_has_no_features():
    bench = Bench()
    assert bench.run(spectator=1) is None
    assert bench.batches == []


def test_an_encoder_may_reuse_its_output_buffer():
    bench = Bench()
    buffer = np.zeros((2, 3, 2), dtype=np.float32)

    def vision(images, cameras):
        buffer[: len(images)] = images.mean(axis=(1, 2, 3))[:, None, None]
        return buffer[: len(images)]

    bench.stage._encode = batch_encoder(vision, CAMERAS)
    first = bench.run(front=10, wrist=20)
    second = bench.run(front=10, wrist=60)
    assert first.features[:, 0, 0].tolist() == [10, 20]
    assert second.features[:, 0, 0].tolist() == [10, 60]


@pytest.mark.parametrize(
    ("shape", "value", "error"),
    [((1, 3, 2), 0.0, InternalError), ((2, 6), 0.0, InternalError),
     ((2, 3, 2), np.nan, FloatingPointError), ((2, 3, 2), np.inf, FloatingPointError)],
)  # fmt: skip
def test_what_an_encoder_may_not_give(shape, value, error):
    bench = Bench()
    bench.stage._encode = lambda images: np.full(shape, value)
    with pytest.raises(error):
        bench.run(front=1, wrist=2)
    assert bench.stage.cache.report(bench.now_ns).size == 0


@given(
    st.lists(
        st.tuples(st.integers(0, 90), st.integers(0, 30), st.integers(0, 3), st.integers(0, 3)),
        max_size=40,
    )
)
@settings(max_examples=100, deadline=None)
def test_features_are_those_of_a_like_and_young_image(steps):
    bench = Bench(max_age_ns=100 * MS, monitor_every=5)
    level = {"front": 20, "wrist": 90}
    for step_ms, delay_ms, front, wrist in steps:
        bench.now_ns += step_ms * MS
        level["front"] += front
        level["wrist"] += wrist
        bench.encode_ns = delay_ms * MS // 4
        features = bench.stage.process(bench.frames(delay_ms=delay_ms, **level))
        for index, name in enumerate(CAMERAS):
            value = features.features[index, 0, 0] - 1000 * index
            assert abs(value - level[name]) < 0.01 * 255
            assert features.ages_ms[index] <= 100 or not features.reused[index]
            assert features.reused[index] or value == level[name]
