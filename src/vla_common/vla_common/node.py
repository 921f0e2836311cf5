"""The lifecycle node base, and the main function of every executable."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any

import rclpy
from rcl_interfaces.msg import ParameterDescriptor, SetParametersResult
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions

from vla_common.core.errors import UserError
from vla_common.core.priority import raise_process_priority, raise_share
from vla_common.core.robot import SECTIONS, Robot, from_parameters
from vla_common.core.transport import control_profile
from vla_common.diagnostics import Diagnostics

SPIN_TURN = 0.2  # [s]
SWITCH_INTERVAL = 0.0005  # [s] a thread waits at most this long for the interpreter
SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


def nest(parameters: dict[str, Any]) -> dict[str, Any]:
    """Return dotted keys as nested dictionaries: ``{"a.b": 1}`` becomes ``{"a": {"b": 1}}``."""
    result: dict[str, Any] = {}
    for key, value in parameters.items():
        *path, last = key.split(".")
        place = result
        for part in path:
            place = place.setdefault(part, {})
        place[last] = value
    return result


class VlaNode(LifecycleNode):
    """A lifecycle node whose parameters are the robot file.

    A subclass overrides :meth:`setup`, :meth:`start`, :meth:`pause` and :meth:`teardown`. A
    :class:`UserError` in one of them fails the transition with its message; any other exception
    fails it with the traceback. Nothing is swallowed.
    """

    robot: Robot

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(
            name,
            allow_undeclared_parameters=True,
            automatically_declare_parameters_from_overrides=True,
            **kwargs,
        )
        self.active = False
        self.failure: BaseException | None = None
        self.on_fatal: Callable[[], None] = lambda: None
        self.diagnostics = Diagnostics(self)
        self.autostart = bool(self.own("autostart", True, "configure and activate at start"))
        self.add_on_set_parameters_callback(self._refuse)

    # --- parameters ---------------------------------------------------------------------------
    def own(self, name: str, default: Any, description: str) -> Any:
        """Return the value of a read-only parameter of this node alone."""
        if not self.has_parameter(name):
            descriptor = ParameterDescriptor(description=description, read_only=True)
            self.declare_parameter(name, default, descriptor)
        return self.get_parameter(name).value

    def _refuse(self, parameters: list[Parameter]) -> SetParametersResult:
        for parameter in parameters:
            if parameter.name.split(".")[0] in SECTIONS:
                return SetParametersResult(
                    successful=False,
                    reason=f"{parameter.name} belongs to the robot file, which is fixed while the "
                    "node runs: change the file and start again",
                )
        return SetParametersResult(successful=True)

    def _read_robot(self) -> Robot:
        values = {
            name: parameter.value
            for name, parameter in self.get_parameters_by_prefix("").items()
            if name.split(".")[0] in SECTIONS
        }
        return from_parameters(nest(values), f"parameters of /{self.get_name()}")

    # --- lifecycle ----------------------------------------------------------------------------
    def setup(self) -> None:
        """Configure: load, create publishers and subscriptions."""

    def start(self) -> None:
        """Activate: start loops."""

    def pause(self) -> None:
        """Deactivate: stop loops."""

    def teardown(self) -> None:
        """Cleanup and shutdown: release what setup took."""

    def _guarded(self, what: str, hook: Callable[[], None]) -> TransitionCallbackReturn:
        try:
            hook()
        except UserError as error:
            self.failure = error
            self.get_logger().error(f"cannot {what}: {error}")
            return FAILURE
        except Exception as error:
            self.failure = error
            self.get_logger().error(f"cannot {what}: {error!r}\n{traceback.format_exc()}")
            return FAILURE
        return SUCCESS

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Read the robot file's parameters and set the node up."""

        def configure() -> None:
            self.robot = self._read_robot()
            self.setup()

        result = self._guarded("configure", configure)
        if result is not SUCCESS:
            self._guarded("clean up after a failed configure", self.teardown)
        return result

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start working."""
        super().on_activate(state)
        result = self._guarded("activate", self.start)
        self.active = result is SUCCESS
        if not self.active:
            self._guarded("pause after a failed activate", self.pause)
        self.diagnostics.changed()
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop working."""
        self.active = False
        result = self._guarded("deactivate", self.pause)
        super().on_deactivate(state)
        self.diagnostics.changed()
        return result

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release what configure took."""
        return self._guarded("clean up", self.teardown)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop and release, from whatever state."""
        self.active = False
        self._guarded("pause", self.pause)
        return self._guarded("shut down", self.teardown)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop and release after an error."""
        return self.on_shutdown(state)

    # --- while running ------------------------------------------------------------------------
    def now_ros_ns(self) -> int:
        """Return the ROS time in nanoseconds."""
        return int(self.get_clock().now().nanoseconds)

    def fatal(self, error: BaseException) -> None:
        """Report an error that ends the node's work; the process exits non-zero."""
        self.failure = error
        self.active = False
        text = str(error)
        if not isinstance(error, UserError):
            text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
        self.get_logger().fatal(f"stopped working: {text}")
        self.diagnostics.changed()
        self.on_fatal()


def make_executor() -> Any:
    """Return the executor for nodes whose callbacks only store.

    EventsExecutor costs less a message; where it cannot be imported, or VLA_EXECUTOR=single
    asks so, it is SingleThreadedExecutor.
    """
    if os.environ.get("VLA_EXECUTOR", "events") != "single":
        try:
            from rclpy.experimental.events_executor import EventsExecutor

            return EventsExecutor()
        except ImportError:
            pass
    return SingleThreadedExecutor()


def _spin(executor: Any, stop: threading.Event, nodes: list[VlaNode]) -> None:
    """Spin in turns, so that ``stop`` ends it: a shutdown from another thread can hang."""
    try:
        while not stop.is_set():
            executor.spin_once(timeout_sec=SPIN_TURN)
    except ExternalShutdownException:
        pass
    except Exception as error:  # a callback failed: its node cannot be told from here
        nodes[0].fatal(error)
    finally:
        stop.set()


def _bring_up(nodes: list[VlaNode], priority: int, share: bool) -> Any:
    """Configure all, make the executor, activate all; return the executor, None on failure.

    What takes long comes before the control loops start. The garbage is collected then: with all
    of a process's modules in memory that takes 100 ms and more, in which no thread runs. And only
    then the priority or the share is raised.
    """
    mine = [node for node in nodes if node.autostart]
    if not all(node.trigger_configure() is SUCCESS for node in mine):
        return None
    executor = make_executor()
    for node in nodes:
        executor.add_node(node)
    executor.spin_once(timeout_sec=0.0)  # it connects to the entities now
    gc.collect()
    gc.freeze()
    refused = raise_process_priority(priority) if priority else ""
    refused = refused or (raise_share() if share else "")
    if refused:
        nodes[0].get_logger().warning(refused)
    if all(node.trigger_activate() is SUCCESS for node in mine):
        return executor
    executor.shutdown()
    return None


def run(
    make_nodes: Callable[[], list[VlaNode]],
    priority: int = 0,
    *,
    control: bool = False,
    share: bool = False,
) -> int:
    """Run nodes until SIGINT or SIGTERM (returns 0) or a failure (returns 1).

    With a ``priority`` 1..99 the process, the threads that receive its messages included, runs
    under SCHED_FIFO where that is permitted, from the moment that it is ready to work. With
    ``share`` it gets more of a busy CPU than others do, see
    :func:`~vla_common.core.priority.raise_share`. With ``control`` it stays out of shared memory,
    see :func:`~vla_common.core.transport.control_profile`.

    The nodes share one executor on a thread of its own; signals are handled here, so that every
    node is deactivated and shut down in order, the arm at rest.
    """
    stop = threading.Event()
    sys.setswitchinterval(SWITCH_INTERVAL)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    if control:  # read when the first node is made
        os.environ.update(control_profile(os.environ))
    rclpy.init(args=sys.argv, signal_handler_options=SignalHandlerOptions.NO)
    nodes: list[VlaNode] = []
    executor: Any = None
    thread: threading.Thread | None = None
    try:
        nodes = make_nodes()
        for node in nodes:
            node.on_fatal = stop.set
        # An EventsExecutor that spins must not meet another thread that creates or destroys
        # entities: both would wait for each other. So it spins between the two.
        executor = _bring_up(nodes, priority, share)
        if executor is not None:
            thread = threading.Thread(
                target=_spin, args=(executor, stop, nodes), name="executor", daemon=True
            )
            thread.start()
            stop.wait()
        code = 1 if any(node.failure for node in nodes) else 0
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        code = 1
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):  # a second Ctrl-C must not end this early
            signal.signal(number, signal.SIG_IGN)
        stop.set()
        if thread is not None:
            thread.join(5.0)
        if executor is not None:
            executor.shutdown()
        for node in reversed(nodes):
            node.trigger_shutdown()
            node.diagnostics.stop()
        for node in nodes:
            node.destroy_node()
        rclpy.try_shutdown()
    return code
