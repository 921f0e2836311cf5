"""The cache: never too old, never another model's, and it watches its own error."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vla_features.core.cache import CacheSettings, Choice, FeatureCache, feature_error

MS = 1_000_000
NOW = 10_000 * MS


def features(value=1.0):
    return np.full((4, 8), value, dtype=np.float32)


def grey(level=100, edge=32):
    return np.full((edge, edge, 3), level, dtype=np.uint8)


def make(model="m@1", **changes):
    return FeatureCache(CacheSettings(**{"monitor_every": 0, **changes}), model)


def put(cache, camera="front", level=100, at=NOW, value=1.0, choice=Choice.ENCODE):
    return cache.store(camera, grey(level), features(value), at, at, 8.0, choice)


def test_the_same_scene_is_reused():
    cache = make()
    assert cache.decide("front", grey(), NOW, NOW) is Choice.ENCODE
    put(cache)
    assert cache.decide("front", grey(), NOW + 33 * MS, NOW + 40 * MS) is Choice.REUSE
    assert cache.get("front", NOW + 40 * MS).capture_ns == NOW
    report = cache.report(NOW)
    assert (report.hits, report.misses, report.hit_ratio) == (1, 1, 0.5)
    assert report.saved_ms == 8.0
    assert report.size == 32 * 32 * 3 + 4 * 8 * 4


@pytest.mark.parametrize(
    ("camera", "image", "capture_ms", "now_ms", "reason"),
    [
        ("front", grey(), 50, 101, "age"),
        ("front", grey(110), 50, 50, "changed"),
        ("front", grey(edge=16), 50, 50, "other size"),
        ("front", grey(), -1, 50, "older image"),
        ("wrist", grey(), 50, 50, "no entry"),
    ],
)
def test_what_must_be_encoded(camera, image, capture_ms, now_ms, reason):
    cache = make()
    put(cache)
    choice = cache.decide(camera, image, NOW + capture_ms * MS, NOW + now_ms * MS)
    assert choice is Choice.ENCODE
    assert cache.report(NOW).reasons == {reason: 1}


def test_disabled_means_every_image_is_encoded():
    cache = make(enabled=False)
    put(cache)
    assert cache.decide("front", grey(), NOW, NOW) is Choice.ENCODE


def test_entries_of_another_model_are_not_used():
    cache = make()
    put(cache)
    cache.model_id = "m@2"
    assert cache.decide("front", grey(), NOW, NOW) is Choice.ENCODE


def test_drift_adds_up_against_the_encoded_image():
    """Each image is within the threshold of the one before it; in the end one is encoded."""
    cache = make(max_age_ns=10**12)
    put(cache)
    choices = [cache.decide("front", grey(100 + i), NOW + i, NOW + i) for i in range(5)]
    assert choices == [Choice.REUSE] * 3 + [Choice.ENCODE] * 2


def test_every_nth_hit_is_measured():
    cache = make(monitor_every=4)
    put(cache)
    choices = [cache.decide("front", grey(), NOW + i, NOW + i) for i in range(8)]
    assert choices == ([Choice.REUSE] * 3 + [Choice.MEASURE]) * 2


def test_a_large_error_switches_the_cache_off_for_a_while():
    cache = make(max_error=0.1, off_ns=1000 * MS, max_age_ns=10**12)
    put(cache, value=1.0)
    put(cache, value=1.05, at=NOW + 1, choice=Choice.MEASURE)
    assert cache.report(NOW + 1).error.max == pytest.approx(0.05 / 1.05)
    assert cache.decide("front", grey(), NOW + 2, NOW + 2) is Choice.REUSE
    put(cache, value=2.0, at=NOW + 3, choice=Choice.MEASURE)
    assert cache.report(NOW + 4).off
    assert cache.report(NOW + 4).switched_off == 1
    assert cache.decide("front", grey(), NOW + 4, NOW + 999 * MS) is Choice.ENCODE
    assert cache.decide("front", grey(), NOW + 5, NOW + 3 + 1000 * MS) is Choice.REUSE


def test_switching_off_counts_for_all_cameras():
    cache = make()
    put(cache, "front")
    put(cache, "wrist")
    put(cache, "front", value=9.0, choice=Choice.MEASURE)
    assert cache.decide("wrist", grey(), NOW, NOW) is Choice.ENCODE


def test_measured_error():
    assert feature_error(features(), features()) == (0.0, pytest.approx(1.0))
    assert feature_error(features(1.1), features(1.0))[0] == pytest.approx(0.1, rel=1e-5)
    assert feature_error(-features(), features())[1] == pytest.approx(-1.0)
    assert feature_error(features(0.0), features(0.0)) == (0.0, 1.0)
    assert feature_error(features(1.0), features(0.0)) == (math.inf, 0.0)
    assert feature_error(features(math.nan), features()) == (math.inf, -1.0)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["front", "wrist"]),
        st.integers(-20, 80),  # time since the step before [ms]
        st.integers(0, 60),  # delay of the image [ms]
        st.integers(0, 2),  # grey level above the last
    ),
    max_size=80,
)


@given(STEPS, st.integers(1, 200), st.integers(0, 5))
@settings(max_examples=200, deadline=None)
def test_what_holds_for_all_reuse(steps, max_age_ms, monitor_every):
    """Whatever happens: no reuse beyond the age, nor of a change of the threshold or more."""
    cache = make(max_age_ns=max_age_ms * MS, monitor_every=monitor_every)
    now_ns, level = NOW, 50
    encoded: dict[str, tuple[int, int]] = {}
    in_a_row: dict[str, int] = {}
    for camera, step_ms, delay_ms, more in steps:
        now_ns += step_ms * MS
        level = min(255, level + more)
        capture_ns = now_ns - delay_ms * MS
        choice = cache.decide(camera, grey(level), capture_ns, now_ns)
        if choice is Choice.REUSE:
            entry = cache.get(camera, now_ns)
            assert entry.camera == camera
            assert now_ns - entry.capture_ns <= max_age_ms * MS
            assert capture_ns >= entry.capture_ns
            assert (entry.capture_ns, int(entry.image[0, 0, 0])) == encoded[camera]
            assert abs(level - encoded[camera][1]) / 255 < 0.01
            in_a_row[camera] = in_a_row.get(camera, 0) + 1
            assert not monitor_every or in_a_row[camera] < monitor_every
        else:
            cache.store(camera, grey(level), features(), capture_ns, now_ns, 5.0, choice)
            encoded[camera] = (capture_ns, level)
            if choice is Choice.MEASURE:
                in_a_row[camera] = 0
    report = cache.report(now_ns)
    assert report.hits + report.misses == len(steps)
