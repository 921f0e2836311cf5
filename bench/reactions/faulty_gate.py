"""safety_gate with a door for faults that cannot be injected from outside a process.

It starts the real node by its own main(). A thread waits on the socket that VLA_FAULT_DOOR names;
until a word comes, nothing differs but that thread. The product has no such door.
"""

from __future__ import annotations

import ctypes
import os
import socket
import threading
from typing import Any

from vla_safety import node
from vla_safety.core.causes import Causes
from vla_safety.core.checks import InputCheck
from vla_safety.core.gate import Gate
from vla_safety.core.sources import JointWatch

CALLBACKS = (
    "_on_chunk",
    "_on_command_state",
    "_on_estop",
    "_on_camera_health",
    "_on_system_health",
    "_on_joint_state",
)
"""Of the node: an exception in one ends the process, as that of any node."""
CALLS = ((InputCheck, "check"), (Gate, "stop"), (JointWatch, "update"), (Causes, "settle"))
"""Inside the core, in every way that leads there: a plan, a service, what is stored, the loop."""
LIBC = ctypes.PyDLL(None)  # unlike CDLL it keeps the interpreter's lock during a call


class Door:
    """Carries out ``gil MS``, ``clock NS``, ``raise NAME``, each as one datagram.

    NAME is one of ``CALLBACKS`` or ``CALLS``, which then raises when it is called the next time.
    """

    def __init__(self, path: str) -> None:
        self.offset_ns = 0
        self.raising = ""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(path)

    def listen(self) -> None:
        """Wait for words, for ever."""
        while True:
            word, _, value = self._socket.recv(64).decode().partition(" ")
            if word == "gil":
                LIBC.usleep(int(value) * 1000)
            elif word == "clock":
                self.offset_ns = int(value)
            elif word == "raise":
                self.raising = value

    def install(self) -> None:
        """Put the faults into the node's ways."""
        now = node.SafetyGate.now_ros_ns
        node.SafetyGate.now_ros_ns = lambda gate: now(gate) + self.offset_ns
        for name in CALLBACKS:
            self._put_into(node.SafetyGate, name)
        for kind, name in CALLS:
            self._put_into(kind, name)

    def _put_into(self, kind: type, name: str) -> None:
        original = getattr(kind, name)

        def may_raise(*arguments: Any) -> Any:
            if self.raising == name:
                self.raising = ""
                raise RuntimeError(f"injected into {name}")
            return original(*arguments)

        setattr(kind, name, may_raise)


if __name__ == "__main__":
    door = Door(os.environ["VLA_FAULT_DOOR"])
    door.install()
    threading.Thread(target=door.listen, daemon=True).start()
    node.main()
