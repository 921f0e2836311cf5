"""Raising the priority works or says why not; it never raises."""

import os
import subprocess
import sys

import pytest

from vla_common.core import priority

PROGRAM = """
import os
from vla_common.core.priority import raise_priority
said = raise_priority(11)
print(said or os.sched_getscheduler(0) == os.SCHED_FIFO)
"""


def test_it_is_raised_or_the_reason_is_told():
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, env=environment, timeout=30
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "True" or "refused" in result.stdout


PROCESS = """
import os, threading
from vla_common.core.priority import raise_process_priority
end = threading.Event()
thread = threading.Thread(target=end.wait)
thread.start()
said = raise_process_priority(11)
fifo = {os.sched_getscheduler(t) == os.SCHED_FIFO for t in (0, thread.native_id)}
print(said or fifo == {True})
end.set()
"""


def test_every_thread_of_the_process_is_raised():
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run(
        [sys.executable, "-c", PROCESS], capture_output=True, text=True, env=environment, timeout=30
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "True" or "refused" in result.stdout


SPINNER = """
import os, threading
from vla_common.core.priority import raise_process_priority
end, ready = threading.Event(), threading.Event()
def named():
    with open(f"/proc/self/task/{threading.get_native_id()}/comm", "w") as comm:
        comm.write("dds.asyn.0.0")
    ready.set()
    end.wait()
spinner = threading.Thread(target=named)
spinner.start()
ready.wait()
said = raise_process_priority(11)
policies = [os.sched_getscheduler(t) for t in (0, spinner.native_id)]
print(said or policies == [os.SCHED_FIFO, os.SCHED_OTHER])
end.set()
"""


def test_a_thread_that_spins_for_others_is_not_raised():
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run(
        [sys.executable, "-c", SPINNER], capture_output=True, text=True, env=environment, timeout=30
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "True" or "refused" in result.stdout


@pytest.mark.parametrize("nice_works", [True, False])
def test_refusal_is_told(monkeypatch, nice_works):
    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    monkeypatch.setattr(os, "setpriority", refuse if not nice_works else lambda *_: None)
    said = priority.raise_priority(11)
    assert "SCHED_FIFO 11" in said
    assert ("instead" in said) == nice_works
