"""Processes below a process: which are found, which are killed, which are spared."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.support.guarded.children import last_line_ns, start_child
from tests.support.processes import left_running, until
from workers import process_table, process_tree
from workers.process_table import Process, look
from workers.process_tree import boottime_s, die_with_parent, kill_descendants, weaker_here

CHECKOUT = Path(__file__).parents[2]
linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has it")


def python(script: str, *arguments: str) -> subprocess.Popen[str]:
    """Another Python that runs a script and says something in one line."""
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def said(process: subprocess.Popen[str]) -> str:
    """The next line that it says."""
    assert process.stdout
    return process.stdout.readline().strip()


SUBREAPER = """
import sys, time
from pathlib import Path
from tests.support.guarded.children import start_child
from workers.process_tree import become_subreaper
become_subreaper()
for kind in sys.argv[2:]: start_child(kind, Path(sys.argv[1], kind))
print("started", flush=True)
sys.stdin.read()
"""


def subreaper(folder: Path, *kinds: str) -> tuple[int, list[Path]]:
    """The pid of a subreaper that neither guards nor reaps what it has started, and the files these write into."""
    process = python(SUBREAPER, str(folder), *kinds)
    said(process)
    files = [folder / kind for kind in kinds]
    until(lambda: all(map(last_line_ns, files)), "each of them writes")
    return process.pid, files


def test_the_clock_of_deadlines_goes_on() -> None:
    before = boottime_s()
    until(lambda: boottime_s() > before, "it has gone on")


@linux
def test_the_clock_of_deadlines_counts_the_time_a_machine_sleeps() -> None:
    assert abs(boottime_s() - float(Path("/proc/uptime").read_text().split()[0])) < 1


def test_all_that_descends_is_killed_and_the_root_is_not(mark: str, tmp_path: Path) -> None:
    root, _ = subreaper(tmp_path, "ticker", "daemon", "family")
    killed = kill_descendants(root)
    assert len(killed) >= 6, "two tickers, three generations and their eldest"
    until(lambda: [process.pid for process in left_running(mark)] == [root], "only the root is left")


def test_who_is_kept_keeps_its_own(mark: str, tmp_path: Path) -> None:
    kept, _ = subreaper(tmp_path, "ticker")
    other = start_child("ticker", tmp_path / "other")
    kill_descendants(os.getpid(), keep=[kept, *spared(mark, other.pid)])
    assert other.wait(10) == -signal.SIGKILL
    lives_at_ns = time.time_ns()
    until(lambda: last_line_ns(tmp_path / "ticker") > lives_at_ns, "the kept one's ticker writes on")


def spared(mark: str, *but: int) -> list[int]:
    """Children that the test run had before, which are not the test's to kill."""
    ours = {process.pid for process in left_running(mark)}
    return [child.pid for child in process_table.children(os.getpid()) if child.pid not in ours.union(but)]


@pytest.mark.parametrize("kind", ["chain", "family"])
def test_a_fork_cannot_outrun_the_kill(mark: str, tmp_path: Path, kind: str) -> None:
    root, [file] = subreaper(tmp_path, kind)
    until(lambda: not kill_descendants(root), "nothing ran below the root any more", 3)
    assert stays_silent(file)


def test_who_was_forked_during_a_look_is_found_by_the_next(
    mark: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, _ = subreaper(tmp_path, "family")
    hidden = max(process.pid for process in left_running(mark))
    looks = [[process for process in process_table.look_at_all() if process.pid != hidden]]
    monkeypatch.setattr(process_tree, "look_at_all", lambda: looks.pop() if looks else process_table.look_at_all())
    assert hidden in kill_descendants(root)


@linux
def test_killing_without_stopping_first_would_let_a_fork_escape(
    mark: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who kills may lose the processor between the look and the kill, as here each time."""
    send = process_tree._signal

    def kill_late(process: Process, number: int) -> None:
        if number == signal.SIGKILL:
            time.sleep(0.01)
            send(process, number)

    monkeypatch.setattr(process_tree, "_signal", kill_late)

    folder = tmp_path / "writes"
    folder.mkdir()

    def escapes() -> bool:
        root, [file] = subreaper(folder, "chain")
        kill_descendants(root)
        return not stays_silent(file)

    try:
        assert any(escapes() for _ in range(5))
    finally:
        folder.rename(tmp_path / "over")  # which ends what escaped: it can write no more


def stays_silent(file: Path) -> bool:
    """Whether nobody writes into a file for as long as a hundred lines take."""
    size = file.stat().st_size
    time.sleep(0.3)
    return size == file.stat().st_size


def test_a_process_that_took_over_an_id_is_not_signalled(mark: str, tmp_path: Path) -> None:
    ticker = start_child("ticker", tmp_path / "ticker")
    seen = look(ticker.pid)
    assert seen
    process_tree._signal(seen._replace(started=seen.started - 1), signal.SIGKILL)
    process_tree._signal(seen, signal.SIGTERM)
    assert ticker.wait(10) == -signal.SIGTERM


def test_killing_below_a_process_that_is_gone_does_nothing(mark: str) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    assert kill_descendants(gone.pid) == []


@linux
def test_both_ways_to_look_at_a_process_agree(mark: str) -> None:
    ended = subprocess.Popen(["true"])
    until(lambda: psutil.Process(ended.pid).status() == psutil.STATUS_ZOMBIE, "it has ended")
    for pid in (os.getpid(), os.getppid(), ended.pid):
        by_proc, by_psutil = process_table._look_in_proc(pid), process_table._look_by_psutil(pid)
        assert by_proc
        assert by_psutil
        assert by_proc._replace(started=0) == by_psutil._replace(started=0)
    ended.wait()
    assert process_table._look_in_proc(ended.pid) is process_table._look_by_psutil(ended.pid) is None


REAPER = """
import subprocess, sys, time
from pathlib import Path
from tests.support.processes import until
from workers.process_table import children
from workers.process_tree import become_subreaper, reap_adopted
import os
become_subreaper()
own = [subprocess.Popen(["false"], start_new_session=apart) for apart in (False, True)]
adopted = subprocess.run(["setsid", "sh", "-c", "true & exec true"])
until(lambda: len([c for c in children(os.getpid()) if c.ended]) == 3, "all three have ended")
reap_adopted()
print(len(children(os.getpid())), [process.wait() for process in own])
"""


@linux
def test_an_adopted_child_is_reaped_and_no_popen_loses_its_exit_code(mark: str) -> None:
    assert said(python(REAPER)) == "2 [1, 1]"


PARENT = """
import os, subprocess, sys
child = "import os, sys; from workers.process_tree import die_with_parent; " \\
    "die_with_parent(parent_pid=int(sys.argv[1])); print(os.getpid(), flush=True); sys.stdin.read()"
subprocess.Popen([sys.executable, "-c", child, sys.argv[1] if sys.argv[1:] else str(os.getpid())])
sys.stdin.read()
"""


@linux
def test_a_child_dies_with_its_parent(mark: str) -> None:
    parent = python(PARENT)
    child = int(said(parent))
    assert {process.pid for process in left_running(mark)} == {parent.pid, child}
    parent.kill()
    until(lambda: not left_running(mark), "the child is gone, too")


@linux
def test_a_child_that_comes_to_it_after_its_parents_end_dies_at_once(mark: str) -> None:
    parent = python(PARENT, "1")
    until(lambda: len(left_running(mark)) == 2, "the child has started")
    until(lambda: len(left_running(mark)) == 1, "it has ended")
    assert parent.poll() is None


def test_where_there_is_no_subreaper_a_sentence_says_what_is_weaker(monkeypatch: pytest.MonkeyPatch) -> None:
    if sys.platform == "linux":
        assert weaker_here() is None
    monkeypatch.setattr(sys, "platform", "darwin")
    assert "outlives" in (weaker_here() or "")
    die_with_parent()  # asks the system for nothing
