"""What the supervisor's limits look at: the memory of a process, and how many are below it."""

import os
import subprocess
import sys

import psutil
import pytest

from tests.support.processes import until
from workers import process_table
from workers.process_table import count_descendants, resident_bytes, tasks_anywhere

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")


def test_descendants_are_counted_at_all_levels_for_each_by_itself() -> None:
    shell = subprocess.Popen(["sh", "-c", "sleep 60 & sh -c 'sleep 60; true'; true"])
    try:
        until(lambda: count_descendants([shell.pid]) == {shell.pid: 3}, "two sleeps and a shell")
        [inner] = [child for child in psutil.Process(shell.pid).children() if child.name() == "sh"]
        assert count_descendants([shell.pid, inner.pid, 2**22 + 1]) == {shell.pid: 3, inner.pid: 1, 2**22 + 1: 0}
    finally:
        for child in psutil.Process(shell.pid).children(recursive=True):
            child.kill()
        shell.kill()
        shell.wait()


def test_processes_that_seem_to_be_each_others_parents_are_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids are read one after another, and given to others meanwhile; the supervisor must not loop for ever."""
    seen = [process_table.Process(pid, parent, 0, 0.0, ended=False) for pid, parent in ((2, 3), (3, 2), (4, 3))]
    monkeypatch.setattr(process_table, "look_at_all", lambda: iter(seen))
    assert count_descendants([2]) == {2: 2}


def test_the_memory_of_a_process_is_what_it_has_in_ram() -> None:
    before = resident_bytes(os.getpid())
    taken = b"x" * 50 * 2**20
    assert resident_bytes(os.getpid()) - before > 0.9 * len(taken)


def test_a_process_that_is_gone_has_no_memory() -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    assert resident_bytes(gone.pid) == 0


@linux
def test_a_new_process_is_seen_in_the_number_of_all_tasks() -> None:
    before = tasks_anywhere()
    assert before is not None
    sleeps = [subprocess.Popen(["sleep", "60"]) for _ in range(100)]
    try:
        assert (tasks_anywhere() or 0) >= before + 50, "others may have ended meanwhile"
    finally:
        for sleep in sleeps:
            sleep.kill()
            sleep.wait()
