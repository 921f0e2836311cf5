"""A simulated arm with cameras and a reach task."""

import os

# MuJoCo chooses its OpenGL backend when it is imported; EGL needs no display.
os.environ.setdefault("MUJOCO_GL", "egl")
