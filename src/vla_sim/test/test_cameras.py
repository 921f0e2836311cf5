"""The camera rig must show exactly what the scene that the policy was trained on shows."""

import pytest

from vla_sim.core.cameras import SPECTATOR_SIZE, CameraRig, Spectator
from vla_sim.core.noise import SIGMA
from vla_sim.core.scene import Scene


def test_rig_images_equal_the_scene_s_own_but_for_the_noise():
    scene = Scene(96, seed=4)
    rig = CameraRig({"front": (96, 96), "wrist": (96, 96)})
    scene.set_joints(scene.joints()[0] + 0.1)
    rig.look(scene.data.qpos)
    for camera in ("front", "wrist"):
        difference = rig.image(camera).astype(int) - scene.render(camera)
        assert abs(difference).max() <= 8 * SIGMA  # the sensor's noise, and nothing else
        assert abs(difference.mean()) < 0.1 * SIGMA
    rig.close()
    scene.close()


def test_a_camera_that_does_not_exist_is_refused():
    with pytest.raises(KeyError, match="left"):
        CameraRig({"left": (96, 96)})


def test_spectator_shows_the_scene_and_the_caption():
    scene = Scene(16, seed=4)
    spectator = Spectator()
    plain = spectator.image(scene.data.qpos, "")
    captioned = spectator.image(scene.data.qpos, "reach the red cube")
    spectator.close()
    assert plain.shape == (SPECTATOR_SIZE[1], SPECTATOR_SIZE[0], 3)
    red = (plain[..., 0] > 100) & (plain[..., 1] < 60) & (plain[..., 2] < 60)
    assert red.any()
    changed = (plain != captioned).any(axis=-1)
    assert changed[:80, :300].any()
    assert not changed[120:].any()
