"""Videos must be readable, keep time when frames are dropped, and never block."""

import os
import threading

import av
import numpy as np
import pytest

from vla_common.core.errors import ConfigError
from vla_sim.core.scene import Scene
from vla_sim.core.studio import Studio
from vla_sim.core.video import VideoRecorder, beside


def frames(path):
    with av.open(str(path)) as container:
        return [
            (round(1000 * float(f.pts * f.time_base)), f.to_ndarray(format="rgb24"))
            for f in container.decode(video=0)
        ]


def test_beside_enlarges_without_smoothing_and_makes_sides_even():
    small = np.arange(4, dtype=np.uint8).reshape(2, 2, 1).repeat(3, axis=2)
    frame = beside(small, np.zeros((61, 81, 3), np.uint8))
    assert frame.shape == (60, 140, 3)
    assert set(np.unique(frame[:, :60])) == {0, 1, 2, 3}


def test_a_video_has_every_frame_with_its_size_and_time(tmp_path):
    path = tmp_path / "out.mp4"
    recorder = VideoRecorder(path, (64, 48), waiting=100)
    for i in range(25):
        image = np.full((48, 64, 3), 10 * i, np.uint8)
        assert recorder.add(image, 7_000_000_000 + i * 50_000_000)
    recorder.close()
    recorder.close()
    read = frames(path)
    assert (recorder.written, recorder.dropped, len(read)) == (25, 0, 25)
    assert [t for t, _ in read] == [50 * i for i in range(25)]
    assert read[20][1].shape == (48, 64, 3)
    assert abs(int(read[20][1].mean()) - 200) < 8


def test_a_full_queue_drops_frames_and_never_waits(tmp_path):
    recorder = VideoRecorder(tmp_path / "out.mp4", (64, 48), waiting=2)
    gate = threading.Event()
    encode = recorder._encode
    recorder._encode = lambda image, time_ns: (gate.wait(20), encode(image, time_ns))
    image = np.zeros((48, 64, 3), np.uint8)
    taken = [recorder.add(image, i) for i in range(10)]
    gate.set()
    recorder.close()
    assert recorder.dropped == taken.count(False) >= 7
    assert len(frames(tmp_path / "out.mp4")) == recorder.written == taken.count(True)


def test_an_encoder_that_fails_is_told_at_close(tmp_path):
    recorder = VideoRecorder(tmp_path / "out.mp4", (64, 48))
    recorder.add(np.zeros((48, 64), np.uint8), 0)
    with pytest.raises(ValueError, match=r"ndarray|array|shape|dim"):
        recorder.close()


def test_studio_films_front_and_spectator(tmp_path):
    path, qpos = tmp_path / "film.mp4", Scene(16).data.qpos.copy()
    studio = Studio({"front": (96, 96), "wrist": (96, 96)}, str(path), qpos)
    for i in range(7):  # 100 ms apart: each is due at 20 Hz
        images = dict(studio.shoot(qpos, 1_000_000_000 + i * 100_000_000, ["wrist"], f"frame {i}"))
        assert images["wrist"].shape == (96, 96, 3)
    assert studio.last_ms > 0.0
    studio.close()
    read = frames(path)
    assert len(read) == 7
    assert read[0][1].shape == (360, 360 + 480, 3)


@pytest.mark.parametrize("name", ["missing/out.mp4", "out.nonsense"])
def test_a_video_that_cannot_be_written_is_a_users_mistake(tmp_path, name):
    with pytest.raises(ConfigError, match=r"sim_arm: video = .*is not allowed"):
        Studio({"front": (96, 96)}, os.path.join(tmp_path, name), Scene(16).data.qpos.copy())
