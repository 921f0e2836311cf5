"""How threads that may not come late, and processes that compute much, share the CPUs."""

from __future__ import annotations

import errno
import os
import time

NICE = -10
# Threads of Fast DDS, by the names that its later versions give them: of asynchronous writers
# (discovery and large messages; they try again and again for a writer that is locked: under
# SCHED_FIFO one of them took a whole CPU in github.com/eProsima/Fast-DDS, issue 5272) and of
# shared memory.
SPINNERS = ("dds.asyn", "dds.shm")


def raise_priority(priority: int, thread: int = 0) -> str:
    """Run ``thread`` (0: the caller) under SCHED_FIFO at ``priority`` 1..99; threads inherit it.

    Where that is refused, a better niceness is tried. Return "" on success, else what was refused
    and what would allow it.
    """
    try:
        os.sched_setscheduler(thread, os.SCHED_FIFO, os.sched_param(priority))
    except ProcessLookupError:  # it has ended
        return ""
    except (OSError, AttributeError) as refused:
        try:
            os.setpriority(os.PRIO_PROCESS, thread, NICE)
        except OSError:
            return (
                f"SCHED_FIFO {priority} and niceness {NICE} are refused ({refused}): under load "
                "the loop may come late; allow it with CAP_SYS_NICE or an rtprio limit"
            )
        return f"SCHED_FIFO {priority} is refused ({refused}); niceness {NICE} is used instead"
    return ""


def raise_process_priority(priority: int) -> str:
    """Raise the threads of this process as :func:`raise_priority` does; return what it returns.

    Called once the process has started up: imports and first connections take a few hundred
    milliseconds of computing, and under SCHED_FIFO they would stall the control loops of others.

    Threads that wait in a loop for what another thread holds stay as they are (:data:`SPINNERS`):
    under SCHED_FIFO they would keep its CPU from the very thread that they wait for.
    """
    said = ""
    for thread in os.listdir("/proc/self/task"):
        if not _name(thread).startswith(SPINNERS):
            said = raise_priority(priority, int(thread)) or said
    return said


def raise_share(niceness: int = NICE) -> str:
    """Give this process, and what it starts, more of a busy CPU; return what was refused, or "".

    For what computes much: SCHED_FIFO would let it take all there is, and Linux then takes time
    from all threads under SCHED_FIFO, those of the arm included.

    Linux may share each CPU between sessions first, and only then between their threads (see
    "autogroup" in sched(7)). A thread of a session that works elsewhere meanwhile then waits
    100 ms and more beside another session's that computes without end, whatever its niceness. So
    the session's share is raised as well, where the session is this process alone.
    """
    said = ""
    for thread in os.listdir("/proc/self/task"):
        try:
            os.setpriority(os.PRIO_PROCESS, int(thread), niceness)
        except ProcessLookupError:  # it has ended
            continue
        except OSError as refused:
            said = _refused(niceness, refused)
    if not said and os.getsid(0) == os.getpid():
        try:
            _raise_session(niceness)
        except FileNotFoundError:  # a kernel without it
            pass
        except OSError as refused:
            said = _refused(niceness, refused)
    return said


def _refused(niceness: int, refused: OSError) -> str:
    return (
        f"niceness {niceness} is refused ({refused}): under load images and plans may come late; "
        "allow it with CAP_SYS_NICE or a nice limit"
    )


def _raise_session(niceness: int) -> None:
    """Write the session's niceness, again where another one was written less than 0.1 s before."""
    for wait in (0.15, 0.15, 0.0):
        try:
            with open("/proc/self/autogroup", "w", encoding="ascii") as file:
                file.write(str(niceness))
            return
        except OSError as refused:
            if refused.errno != errno.EAGAIN or not wait:
                raise
            time.sleep(wait)


def _name(thread: str) -> str:
    try:
        with open(f"/proc/self/task/{thread}/comm", encoding="ascii", errors="replace") as comm:
            return comm.read()
    except OSError:  # it has ended
        return ""
