"""The simulated world: arm, cubes and cameras in MuJoCo, rendered headless.

A ``Scene`` is driven by its owner's clock (``step``) and is not thread safe: the OpenGL context
belongs to the thread that renders first.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from vla_sim.core import arm
from vla_sim.core.arm import HOME_Q, Array
from vla_sim.core.task import COLOURS

os.environ.setdefault("MUJOCO_GL", "egl")
import mujoco

MODELS: Final = Path(__file__).resolve().parent.parent / "models"
MJCF: Final = MODELS / "sim_arm.xml"
URDF: Final = MODELS / "sim_arm.urdf"

CUBE_HALF: Final = 0.02
"""Half the edge of a cube [m]."""
CUBE_X: Final = (0.38, 0.62)
CUBE_Y: Final = (-0.25, 0.25)
"""Where cubes are placed, base frame [m]."""
CUBE_SEPARATION: Final = 0.11
"""Least distance between cube centres at reset [m]."""
VISION_CAMERAS: Final = ("front", "wrist")
SPECTATOR_SIZE: Final = (640, 480)


def place_cubes(rng: np.random.Generator) -> tuple[Array, Array]:
    """Draw cube centres (3, 2) [m], ``CUBE_SEPARATION`` apart or more, and yaws (3,) [rad]."""
    low, high = np.array([CUBE_X[0], CUBE_Y[0]]), np.array([CUBE_X[1], CUBE_Y[1]])
    while True:
        places: Array = rng.uniform(low, high, (len(COLOURS), 2))
        gaps = np.linalg.norm(places[:, None] - places[None], axis=-1)
        if gaps[np.triu_indices(len(COLOURS), 1)].min() >= CUBE_SEPARATION:
            return places, rng.uniform(-np.pi / 4, np.pi / 4, len(COLOURS))


class Scene:
    """MuJoCo model with position servos, three cubes and three cameras."""

    JOINTS: tuple[str, ...] = arm.JOINTS

    def __init__(self, camera_size: int, seed: int = 0, timestep: float = 0.002) -> None:
        """Load the model and reset it to ``seed``.

        camera_size: edge of the square images of "front" and "wrist" [px]; timestep [s].
        """
        self.model = mujoco.MjModel.from_xml_path(str(MJCF))
        self.model.opt.timestep = timestep
        self.data = mujoco.MjData(self.model)
        self.camera_size = camera_size
        self._renderers: dict[tuple[int, int], mujoco.Renderer] = {}
        self._site = self.model.site("tcp").id
        self._arm = np.arange(9)  # joint1..joint7, gripper, gripper_mirror lead qpos and ctrl
        self._owed = 0.0
        self.reset(seed)

    @property
    def time(self) -> float:
        """Simulated time since the last reset [s]."""
        return float(self.data.time)

    def reset(self, seed: int) -> None:
        """Put the arm at ``HOME_Q`` and the cubes where ``seed`` says; time starts at 0."""
        mujoco.mj_resetData(self.model, self.data)
        self._owed = 0.0
        places, yaws = place_cubes(np.random.default_rng(seed))
        for colour, place, yaw in zip(COLOURS, places, yaws, strict=True):
            joint = self.data.joint(colour)
            joint.qpos[:] = (*place, CUBE_HALF, np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2))
        self.set_joints(HOME_Q)

    def step(self, q_desired: Array, dt: float) -> None:
        """Advance physics by ``dt`` [s] with the servos tracking ``q_desired`` (8,) [rad], [m].

        What is left of ``dt`` below one timestep is carried over to the next call.
        """
        self._command(np.asarray(q_desired, dtype=np.float64))
        self._owed += dt
        count = int(self._owed / self.model.opt.timestep + 1e-9)
        self._owed -= count * self.model.opt.timestep
        if count > 0:
            mujoco.mj_step(self.model, self.data, count)

    def set_joints(self, q: Array) -> None:
        """Teleport the arm to ``q`` (8,) [rad], [m] at rest; the cubes stay where they are."""
        values = np.asarray(q, dtype=np.float64)
        self.data.qpos[:9] = np.append(values, values[7])
        self.data.qvel[:9] = 0.0
        self._command(values)
        mujoco.mj_forward(self.model, self.data)

    def joints(self) -> tuple[Array, Array]:
        """Return measured positions (8,) [rad], [m] and velocities (8,) [rad/s], [m/s]."""
        return self.data.qpos[:8].copy(), self.data.qvel[:8].copy()

    def tcp(self) -> Array:
        """Return the tool centre point (3,) [m] in the base frame."""
        position: Array = self.data.site_xpos[self._site].copy()
        return position

    def cubes(self) -> dict[str, Array]:
        """Return the true centre of each cube's top face (3,) [m], by colour."""
        lift = np.array([0.0, 0.0, CUBE_HALF])
        return {colour: self.data.body(colour).xpos + lift for colour in COLOURS}

    def render(
        self, camera: str, width: int | None = None, height: int | None = None
    ) -> npt.NDArray[np.uint8]:
        """Return what ``camera`` sees now: uint8 (H, W, 3), RGB.

        camera: "front", "wrist" (``camera_size`` square unless told) or "spectator".
        Raises KeyError for another name.
        """
        default = (self.camera_size,) * 2 if camera in VISION_CAMERAS else SPECTATOR_SIZE
        size = (width or default[0], height or default[1])
        renderer = self._renderers.get(size) or self._renderer(size)
        renderer.update_scene(self.data, camera=self.model.camera(camera).id)
        image: npt.NDArray[np.uint8] = renderer.render()
        return image

    def close(self) -> None:
        """Free the renderers; the scene can still be stepped."""
        for renderer in self._renderers.values():
            renderer.close()
        self._renderers.clear()

    def _command(self, q: Array) -> None:
        self.data.ctrl[:9] = np.append(q, q[7])

    def _renderer(self, size: tuple[int, int]) -> mujoco.Renderer:
        renderer = mujoco.Renderer(self.model, height=size[1], width=size[0])
        for flag in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION):
            renderer.scene.flags[flag] = 0
        self._renderers[size] = renderer
        return renderer
