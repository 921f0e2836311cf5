"""The cameras of the simulated arm, in a process of their own.

A real arm and real cameras have drivers of their own, and so here: while OpenGL draws and images
are sent, joint states and the controller go on; and they go by UDP alone while the images go
through shared memory, see :mod:`vla_common.core.transport`.

The node's process asks for images through a pair of sockets, one set at a time. Where it ends,
however it ends, this process ends as well.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import numpy.typing as npt
import rclpy
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import Image

from vla_common import qos
from vla_common.convert import ns_to_stamp
from vla_common.core.errors import UserError
from vla_common.core.priority import raise_process_priority
from vla_common.core.stats import Window
from vla_sim.convert import image_to_msg
from vla_sim.core.faults import FaultyImages, Names
from vla_sim.core.studio import Studio

PRIORITY = 5
"""SCHED_FIFO: real cameras do not wait for the computer that looks at them."""
MAIN = "import sys; from vla_sim.camera_process import main; sys.exit(main())"
"""Not ``-m``: what is sent would then be classes of ``__main__``, which the node does not know."""
PATIENCE = 5.0
"""[s] in which the process must have ended when it was asked to."""


@dataclass(frozen=True)
class Stream:
    """A camera: its resolved topic, size [px] and encoding, "rgb8" or "bgr8"."""

    name: str
    topic: str
    width: int
    height: int
    encoding: str


@dataclass(frozen=True)
class Setup:
    """What the process is to be: its node, its cameras, the video file (empty: none).

    ``qpos`` is a first state to render, see :class:`Studio`.
    """

    node: str
    namespace: str
    streams: tuple[Stream, ...]
    video: str
    qpos: npt.NDArray[np.float64]


@dataclass(frozen=True)
class Order:
    """One set of images: of which state, when on CLOCK_MONOTONIC and in ROS time [ns]."""

    qpos: npt.NDArray[np.float64]
    mono_ns: int
    stamp_ns: int
    caption: str
    faults: Names


@dataclass(frozen=True)
class Taken:
    """What became of an order; ``render_ms`` is None when nobody wanted an image.

    The counts of the video's frames are None where none is recorded.
    """

    render_ms: float | None
    written: int | None
    dropped: int | None


@dataclass(frozen=True)
class Failed:
    """Why the process ends."""

    text: str
    by_user: bool


class CameraProcess:
    """The process as the node sees it. Its methods are for one thread at a time."""

    def __init__(self, setup: Setup, environment: Mapping[str, str]) -> None:
        """Start it, with an environment of its own; :meth:`wait` tells when it is ready."""
        self.render_ms = Window(512)
        self.frames = 0
        self.written: int | None = None
        self.dropped: int | None = None
        self._failed = False
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", MAIN, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env=dict(environment),
                start_new_session=True,  # a Ctrl-C is for the node, also while this one starts
            )
        self._connection = Connection(ours.detach())
        self._ask(setup)

    def _ask(self, question: Any) -> None:
        try:
            self._connection.send(question)
        except OSError:
            raise self._died() from None

    def wait(self) -> Any:
        """Return the answer. Raises what made the process fail: UserError for a user's mistake."""
        try:
            answer = self._connection.recv()
        except (EOFError, OSError):
            raise self._died() from None
        if isinstance(answer, Failed):
            self._failed = True
            raise UserError(answer.text) if answer.by_user else RuntimeError(answer.text)
        return answer

    def _died(self) -> RuntimeError:
        self._failed = True
        try:
            code = f"exit code {self._process.wait(PATIENCE)}"
        except subprocess.TimeoutExpired:
            code = "it still runs"
        return RuntimeError(f"the process of the cameras does not answer: {code}")

    def shoot(self, order: Order) -> None:
        """Have the cameras' images sent. Raises RuntimeError where the process failed."""
        self._ask(order)
        taken = self.wait()
        if taken.render_ms is not None:
            self.frames += 1
            self.render_ms.add(taken.render_ms)
        self.written, self.dropped = taken.written, taken.dropped

    def close(self) -> None:
        """Finish the video, end the process. Raises what goes wrong then, not what has before."""
        try:
            if not self._failed:
                self._ask(None)
                if not self._connection.poll(PATIENCE):
                    raise RuntimeError(f"the process of the cameras did not end in {PATIENCE:g} s")
                self.wait()
        finally:
            self._connection.close()
            try:
                self._process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


class Cameras:
    """What works in the process: renders, and sends to those who listen."""

    def __init__(self, setup: Setup, node: Node) -> None:
        """Open OpenGL and the topics. Raises ConfigError where the video cannot be written."""
        self._streams = {stream.name: stream for stream in setup.streams}
        sizes = {stream.name: (stream.width, stream.height) for stream in setup.streams}
        self._studio = Studio(sizes, setup.video, setup.qpos)
        self._faulty = FaultyImages()
        self._publishers = {
            stream.name: node.create_publisher(Image, stream.topic, qos.IMAGES)
            for stream in setup.streams
        }

    def shoot(self, order: Order) -> Taken:
        """Render and send what is wanted."""
        wanted = [
            name
            for name, publisher in self._publishers.items()
            if name not in order.faults["silent"] and publisher.get_subscription_count()
        ]
        stamp, studio = ns_to_stamp(order.stamp_ns), self._studio
        for name, image in studio.shoot(order.qpos, order.mono_ns, wanted, order.caption):
            sent = self._faulty.image(order.faults, name, image)
            encoding = self._streams[name].encoding
            self._publishers[name].publish(image_to_msg(sent, stamp, name, encoding))
        film = studio.recorder
        return Taken(
            studio.last_ms if wanted else None,
            None if film is None else film.written,
            None if film is None else film.dropped,
        )

    def close(self) -> None:
        """Finish the video, free OpenGL."""
        self._studio.close()


def _work(connection: Connection, context: rclpy.Context) -> None:
    setup: Setup = connection.recv()
    node = Node(
        setup.node,
        namespace=setup.namespace,
        context=context,
        enable_rosout=False,
        start_parameter_services=False,
    )
    cameras = Cameras(setup, node)
    try:
        raise_process_priority(PRIORITY)  # the node's own process says where that is refused
        connection.send(None)
        while (order := connection.recv()) is not None:
            connection.send(cameras.shoot(order))
    finally:
        cameras.close()
        node.destroy_node()
    connection.send(None)


def main(words: list[str] | None = None) -> int:
    """Serve the node at the other end of the socket whose number is given."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the node says when it is over
    (socket_number,) = sys.argv[1:] if words is None else words
    connection = Connection(int(socket_number))
    context = rclpy.Context()
    rclpy.init(args=[], context=context, signal_handler_options=SignalHandlerOptions.NO)
    try:
        _work(connection, context)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return 0  # the node has ended
    except Exception as error:
        by_user = isinstance(error, UserError)
        text = str(error) if by_user else f"the cameras failed:\n{traceback.format_exc()}"
        with contextlib.suppress(OSError):  # nobody to tell
            connection.send(Failed(text, by_user))
        return 1
    finally:
        rclpy.try_shutdown(context=context)
    return 0
