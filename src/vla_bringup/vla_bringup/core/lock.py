"""One graph a ROS domain: two would command the same arm."""

from __future__ import annotations

import fcntl
import os
import tempfile
from pathlib import Path

from vla_common.core.errors import UserError


class AlreadyRunning(UserError):
    """Another graph runs in this ROS domain."""


def lock_file(environment: dict[str, str]) -> Path:
    """Return the lock's path for a process environment."""
    folder = environment.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    if not Path(folder).is_dir():
        folder = tempfile.gettempdir()
    domain = environment.get("ROS_DOMAIN_ID") or "0"
    return Path(folder) / f"vla_ros-{os.getuid()}-domain{domain}.lock"


class InstanceLock:
    """Held as long as the process lives, also when it ends badly: the kernel gives it back."""

    def __init__(self, path: Path, domain: str) -> None:
        self.path = path
        self._domain = domain
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock. Raises :class:`AlreadyRunning`, which names the holder."""
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
            os.close(descriptor)
            raise AlreadyRunning(
                f"{self.path}: ROS_DOMAIN_ID = {self._domain!r} is not allowed: process {holder} "
                "already runs a graph there; allowed: end that one first, or set another "
                "ROS_DOMAIN_ID (0..101)"
            ) from error
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the lock back; also when it was never taken."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def instance_lock(environment: dict[str, str]) -> InstanceLock:
    """Return the lock, not yet taken, of the ROS domain named in ``environment``."""
    return InstanceLock(lock_file(environment), environment.get("ROS_DOMAIN_ID") or "0")
