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
from vla_safety.core.checks import InputCheck

LIBC = ctypes.PyDLL(None)  # unlike CDLL it keeps the interpreter's lock during a call


class Door:
    """Carries out ``gil MS``, ``clock NS``, ``callback`` and ``core``, each as one datagram."""

    def __init__(self, path: str) -> None:
        self.offset_ns = 0
        self.callback = False
        self.core = False
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
            elif word == "callback":
                self.callback = True
            elif word == "core":
                self.core = True

    def install(self) -> None:
        """Put the faults into the node's ways."""
        raw_chunk, check, now = node.raw_chunk, InputCheck.check, node.SafetyGate.now_ros_ns

        def failing_callback(message: Any) -> Any:
            if self.callback:
                raise RuntimeError("injected into the callback")
            return raw_chunk(message)

        def failing_check(*arguments: Any) -> Any:
            if self.core:
                self.core = False
                raise RuntimeError("injected into the gate")
            return check(*arguments)

        def stepped(gate: Any) -> int:
            return now(gate) + self.offset_ns

        node.raw_chunk = failing_callback
        InputCheck.check = failing_check
        node.SafetyGate.now_ros_ns = stepped


if __name__ == "__main__":
    door = Door(os.environ["VLA_FAULT_DOOR"])
    door.install()
    threading.Thread(target=door.listen, daemon=True).start()
    node.main()
