"""Scheduling priority of threads that may not come late."""

from __future__ import annotations

import os

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


def _name(thread: str) -> str:
    try:
        with open(f"/proc/self/task/{thread}/comm", encoding="ascii", errors="replace") as comm:
            return comm.read()
    except OSError:  # it has ended
        return ""
