"""Sets of images: bounded skew, each image once, newest first, and a policy for missing streams."""

import numpy as np
from camera_cases import MS
from hypothesis import given
from hypothesis import strategies as st

from vla_camera.core.sync import Shot, Synchroniser

SKEW = 40 * MS
IMAGE = np.zeros((8, 8, 3), dtype=np.uint8)


def shot(capture_ms, delay_ms=5.0):
    capture_ns = round(capture_ms * MS)
    return Shot(IMAGE, capture_ns, capture_ns + 10**18, capture_ns + round(delay_ms * MS))


def feed(sync, events, absent=frozenset()):
    """Add (camera, capture [ms]) in turn; return the sets."""
    made = []
    for camera, capture_ms in events:
        one = shot(capture_ms)
        frames = sync.add(camera, one, one.received_ns, absent)
        if frames is not None:
            made.append(frames)
    return made


def two(*required):
    return Synchroniser(("front", "wrist"), required or (True, True), SKEW)


def test_a_set_is_made_when_its_last_image_arrives():
    sync = two()
    assert feed(sync, [(0, 100)]) == []
    (frames,) = feed(sync, [(1, 110)])
    assert frames.cameras == ("front", "wrist")
    assert frames.capture_ns == 100 * MS
    assert frames.stamp_ns == 100 * MS + 10**18
    assert frames.skew_ns == 10 * MS
    assert frames.captures_ns == {"front": 100 * MS, "wrist": 110 * MS}
    assert frames.trace.capture_ns == 100 * MS
    assert frames.trace.received_ns == 105 * MS
    assert frames.trace.ingest_ns == 115 * MS


def test_every_image_of_cameras_in_step_is_used():
    sync = two()
    events = [(camera, 33.3 * i + 12 * camera) for i in range(100) for camera in (0, 1)]
    assert len(feed(sync, events)) == 100
    assert sync.lost == 0


def test_images_too_far_apart_make_no_set():
    sync = two()
    assert feed(sync, [(0, 100), (1, 141)]) == []
    assert len(feed(sync, [(0, 133)])) == 1


def test_a_lost_image_costs_one_set():
    sync = two()
    made = feed(sync, [(0, 0), (1, 0), (0, 33), (0, 66), (1, 66), (0, 100), (1, 100)])
    assert [f.capture_ns for f in made] == [0, 66 * MS, 100 * MS]
    assert sync.lost == 1


def test_a_silent_required_camera_stops_the_sets():
    sync = two()
    assert feed(sync, [(0, 33 * i) for i in range(50)]) == []


def test_an_absent_optional_camera_is_left_out_at_once():
    sync = two(True, False)
    made = feed(sync, [(0, 33 * i) for i in range(10)], absent=frozenset({1}))
    assert len(made) == 10
    assert made[0].cameras == ("front",)
    assert made[0].missing == ("wrist",)


def test_absent_does_not_apply_to_a_required_camera():
    assert feed(two(), [(0, 33 * i) for i in range(10)], absent=frozenset({1})) == []


def test_an_optional_camera_is_waited_for_one_image_only():
    sync = two(True, False)
    made = feed(sync, [(0, 33 * i) for i in range(10)])
    assert [f.capture_ns for f in made] == [33 * i * MS for i in range(1, 10)]
    made = feed(sync, [(1, 320), (0, 330), (0, 363), (1, 363)])
    assert [f.missing for f in made] == [(), ()]


def test_an_optional_camera_that_never_fits_stops_nothing():
    sync = two(True, False)
    events = [(camera, 33 * i - 100 * camera) for i in range(30) for camera in (0, 1)]
    assert len(feed(sync, events)) > 20


def test_dropping_a_camera_forgets_its_images():
    sync = two()
    feed(sync, [(0, 100)])
    sync.drop(0)
    assert feed(sync, [(1, 100)]) == []
    assert sync.lost == 1


EVENTS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(1, 60), st.booleans()), min_size=1, max_size=120
)


@given(EVENTS, st.tuples(st.booleans(), st.booleans(), st.booleans()), st.integers(1, 80))
def test_what_holds_for_all_sets(events, required, skew_ms):
    """Whatever arrives: skew bounded, images once, time rises, no required camera is missing."""
    names = ("a", "b", "c")
    sync = Synchroniser(names, required, skew_ms * MS)
    clocks = [0, 0, 0]
    used = set()
    last_ns = -1
    added = 0
    for camera, step_ms, absent in events:
        clocks[camera] += step_ms
        one = shot(clocks[camera])
        added += 1
        missing = frozenset(i for i in range(3) if not required[i] and absent and i != camera)
        frames = sync.add(camera, one, one.received_ns, missing)
        if frames is None:
            continue
        times = list(frames.captures_ns.values())
        assert max(times) - min(times) == frames.skew_ns <= skew_ms * MS
        assert min(times) == frames.capture_ns > last_ns
        last_ns = frames.capture_ns
        for name, time_ns in frames.captures_ns.items():
            assert (name, time_ns) not in used
            used.add((name, time_ns))
        needed = {name for name, must in zip(names, required) if must}
        assert needed <= set(frames.cameras)
        assert set(frames.cameras) | set(frames.missing) == set(names)
    waiting = sum(len(shots) for shots in sync._unused)
    assert added == len(used) + sync.lost + waiting
