"""Scheduling priority of threads that may not come late."""

from __future__ import annotations

import os

NICE = -10


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
    """Raise every thread of this process as :func:`raise_priority` does; return what it returns.

    Called once the process has started up: imports and first connections take a few hundred
    milliseconds of computing, and under SCHED_FIFO they would stall the control loops of others.
    """
    said = ""
    for thread in os.listdir("/proc/self/task"):
        said = raise_priority(priority, int(thread)) or said
    return said
