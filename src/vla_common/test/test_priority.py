"""Raising the priority or the share works or says why not; it never raises."""

import errno
import io
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


SHARE = """
import os, threading
from pathlib import Path
from vla_common.core.priority import NICE, raise_share
group = Path("/proc/self/autogroup")
before = group.read_text().split()[-1] if group.exists() else None
end = threading.Event()
earlier = threading.Thread(target=end.wait)
earlier.start()
said = raise_share()
later = threading.Thread(target=end.wait)
later.start()
threads = (0, earlier.native_id, later.native_id)
nice = {os.getpriority(os.PRIO_PROCESS, t) for t in threads}
after = group.read_text().split()[-1] if group.exists() else None
fifo = {os.sched_getscheduler(t) for t in threads} != {os.SCHED_OTHER}
wanted = before if before is None or os.getsid(0) != os.getpid() else str(NICE)
print(said or (nice == {NICE} and after == wanted and not fifo) or (nice, before, after, fifo))
end.set()
"""


@pytest.mark.parametrize("leads", [True, False])
def test_a_larger_share_is_had_by_every_thread_and_by_a_session_of_its_own(leads):
    command = [sys.executable, "-c", SHARE]
    if not leads:  # a shell leads the session: also then no one else changes its niceness
        command = ["sh", "-c", '"$@"; exit $?', "sh", *command]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run(
        command, capture_output=True, text=True, env=environment, timeout=30, start_new_session=True
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "True" or "niceness -10 is refused" in result.stdout


def test_refusal_of_a_share_is_told(monkeypatch):
    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "setpriority", refuse)
    assert "niceness -10 is refused" in priority.raise_share()


@pytest.mark.parametrize("busy", [0, 2, 3])
def test_a_session_that_another_one_is_in_the_way_of_is_asked_again(monkeypatch, busy):
    answers = [OSError(errno.EAGAIN, "again")] * busy + [None] * 3
    written = []

    class Autogroup(io.StringIO):
        def write(self, text):
            written.append(text)
            error = answers.pop(0)
            if error is not None:
                raise error
            return len(text)

    monkeypatch.setattr(os, "setpriority", lambda *_: None)
    monkeypatch.setattr(os, "getsid", lambda _: os.getpid())
    monkeypatch.setattr(os, "listdir", lambda _: [])
    monkeypatch.setattr(priority.time, "sleep", lambda _: None)
    monkeypatch.setattr("builtins.open", lambda *_, **__: Autogroup())
    said = priority.raise_share()
    assert written == ["-10"] * min(busy + 1, 3)
    assert bool(said) == (busy == 3)
