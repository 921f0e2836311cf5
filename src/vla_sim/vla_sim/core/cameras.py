"""What the cameras see of a world's state, rendered from a model of their own.

Everything here belongs to one thread: an OpenGL context cannot be shared.
"""

from __future__ import annotations

from collections.abc import Mapping

import mujoco
import numpy as np
import numpy.typing as npt

from vla_sim.core.noise import SensorNoise
from vla_sim.core.scene import MJCF, VISION_CAMERAS, Scene

Image = npt.NDArray[np.uint8]
SPECTATOR_SIZE = (480, 360)


class CameraRig:
    """The cameras of the arm; independent of the physics, which go on meanwhile."""

    def __init__(self, sizes: Mapping[str, tuple[int, int]]) -> None:
        """Make the cameras; ``sizes`` is (width, height) [px] by name.

        Raises KeyError for a camera that the scene has not.
        """
        for name in sizes:
            if name not in VISION_CAMERAS:
                raise KeyError(name)
        self._sizes = dict(sizes)
        self._scene = Scene(camera_size=16)
        self._noise = SensorNoise(max(w * h for w, h in sizes.values()), seed=0)
        visual = self._scene.model.vis.global_
        # The whole off-screen buffer is cleared each frame: no larger than needed.
        visual.offwidth = max(width for width, _ in sizes.values())
        visual.offheight = max(height for _, height in sizes.values())

    def look(self, qpos: npt.NDArray[np.float64]) -> None:
        """Take the generalised positions of a :meth:`World.snapshot`."""
        data = self._scene.data
        data.qpos[:] = qpos
        mujoco.mj_kinematics(self._scene.model, data)
        mujoco.mj_camlight(self._scene.model, data)

    def image(self, camera: str) -> Image:
        """Return what ``camera`` sees, with its noise: uint8 (height, width, 3), RGB."""
        width, height = self._sizes[camera]
        return self._noise.add(self._scene.render(camera, width, height))

    def close(self) -> None:
        """Free the OpenGL contexts; in the thread that rendered."""
        self._scene.close()


class Spectator:
    """A view of the whole scene with a line of text, for videos."""

    def __init__(self, width: int = SPECTATOR_SIZE[0], height: int = SPECTATOR_SIZE[1]) -> None:
        self._model = mujoco.MjModel.from_xml_path(str(MJCF))
        visual = self._model.vis
        visual.global_.offwidth, visual.global_.offheight = width, height
        visual.quality.numslices, visual.quality.numstacks, visual.quality.numquads = 16, 8, 1
        self._data = mujoco.MjData(self._model)
        self._gl = mujoco.GLContext(width, height)
        self._gl.make_current()
        self._context = mujoco.MjrContext(self._model, mujoco.mjtFontScale.mjFONTSCALE_100.value)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._context)
        self._scene = mujoco.MjvScene(self._model, maxgeom=200)
        for flag in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION):
            self._scene.flags[flag] = 0
        self._option = mujoco.MjvOption()
        self._camera = mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
        self._camera.fixedcamid = self._model.camera("spectator").id
        self._rect = mujoco.MjrRect(0, 0, width, height)

    def image(self, qpos: npt.NDArray[np.float64], text: str) -> Image:
        """Return the view of generalised positions: uint8 (height, width, 3), RGB."""
        self._data.qpos[:] = qpos
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_camlight(self._model, self._data)
        self._gl.make_current()
        mujoco.mjv_updateScene(
            self._model,
            self._data,
            self._option,
            None,
            self._camera,
            mujoco.mjtCatBit.mjCAT_ALL.value,
            self._scene,
        )
        mujoco.mjr_render(self._rect, self._scene, self._context)
        mujoco.mjr_overlay(
            mujoco.mjtFont.mjFONT_NORMAL,
            mujoco.mjtGridPos.mjGRID_TOPLEFT,
            self._rect,
            text,
            "",
            self._context,
        )
        image: Image = np.empty((self._rect.height, self._rect.width, 3), dtype=np.uint8)
        mujoco.mjr_readPixels(image, None, self._rect, self._context)
        return np.flipud(image)

    def close(self) -> None:
        """Free the OpenGL context; in the thread that rendered."""
        self._gl.make_current()
        self._context.free()
        self._gl.free()
