"""The supervisor with real processes: alone runners come when workers tell of suspects, and end with them."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.guarded.run import Run, Supervise, supervising
from tests.support.processes import left_running, until
from workers.supervised import Supervised


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Supervise]:
    """Starts a supervisor: `worker` is the stand-ins' plan, `alone` what differs in those of alone runners."""
    with supervising(tmp_path) as start:
        yield start


def started(run: Run) -> int:
    """How many processes the supervisor has started so far."""
    return sum(event["event"] == "worker.started" for event in run.events())


def test_there_are_as_many_alone_runners_as_suspects_were_told_of(supervise: Supervise) -> None:
    """Two workers see the same ones."""
    run = supervise({"suspects": 2}, processes=2, alone_processes=5)
    run.ready(2, "alone")
    assert stays(lambda: started(run) == 4)


def test_without_suspects_there_is_no_alone_runner(supervise: Supervise) -> None:
    run = supervise({}, alone_processes=5)
    run.ready()
    assert stays(lambda: started(run) == 1)


def test_there_are_never_more_than_may_be(supervise: Supervise) -> None:
    run = supervise({"suspects": 9}, alone_processes=2)
    run.ready(2, "alone")
    assert stays(lambda: started(run) == 3)


def test_a_runner_that_is_busy_keeps_no_suspect_waiting(supervise: Supervise) -> None:
    """Each says that it runs a job, which may take hours, and one suspect is still told of."""
    run = supervise({"suspects": 1}, alone={"busy": True}, alone_processes=3)
    run.ready(3, "alone")


def test_a_runner_that_dies_is_replaced_as_long_as_there_are_suspects(supervise: Supervise) -> None:
    run = supervise({"suspects": 1}, alone_processes=1)
    [worker] = run.ready()
    for _ in range(2):
        [runner] = run.ready(1, "alone")
        os.kill(runner, signal.SIGKILL)
        until(lambda pid=runner: run.workers("alone") not in ([], [pid]), "another runs")
    [runner] = run.ready(1, "alone")
    os.kill(worker, signal.SIGHUP)
    assert stays(lambda: run.workers("alone") == [runner])  # the supervisor hears meanwhile that no suspects are left
    os.kill(runner, signal.SIGKILL)
    until(lambda: runner not in run.workers("alone"), "it is dead")
    assert stays(lambda: not run.workers("alone"))


@pytest.mark.parametrize(("may_end", "waits"), [(True, False), (False, True)])
def test_only_a_place_that_may_end_fills_again_at_once_after_an_end_in_order(*, may_end: bool, waits: bool) -> None:
    place = Supervised(["true"], {}, may_end=may_end)
    for _ in range(2):
        until(lambda: place.start_if_due() or place.pid, "it has started")
        until(place.note_end, "its end is noted")
    assert (place._wait_s() > 0) is waits


TELLS = """
import time
from workers.guard_link import GuardLink
GuardLink.from_environment().suspects(2)
time.sleep(60)
"""


def test_what_a_worker_told_is_forgotten_with_its_end() -> None:
    place = Supervised([sys.executable, "-c", TELLS], {})
    place.start_if_due()
    until(lambda: place.hear() or place.suspects == 2, "it has told of two")
    place.kill()
    until(place.note_end, "its end is noted")
    assert place.suspects == 0


def test_a_drain_ends_alone_runners_with_what_they_started(supervise: Supervise) -> None:
    run = supervise({"suspects": 1}, alone={"children": ["ticker"]}, alone_processes=1)
    run.ready(1, "alone")
    run.process.terminate()
    assert run.process.wait(10) == 0
    assert not left_running(run.mark)


def test_a_worker_that_takes_too_much_memory_is_killed_with_what_it_started(supervise: Supervise) -> None:
    run = supervise({"allocates_bytes": 200 * 2**20, "children": ["ticker"]}, limits={"memory_bytes": 150 * 2**20})
    until(lambda: any(event.get("why") == "JOBS_WORKER_MEMORY_BYTES" for event in run.events()), "it is killed")
    [first, *_] = sorted(run.folder.glob("*.worker"), key=lambda file: file.stat().st_mtime_ns)
    until(lambda: not run.agents(int(first.stem)), "its ticker is gone, too", 3)


@pytest.mark.parametrize("limits", [{"memory_bytes": 2**30, "processes": 4}, {"memory_bytes": 0, "processes": 0}])
def test_a_worker_below_its_limits_lives(supervise: Supervise, limits: dict[str, int]) -> None:
    """0 is no limit. A family has four members."""
    run = supervise({"allocates_bytes": 200 * 2**20, "children": ["family"]}, limits=limits)
    [worker] = run.ready()
    run.writing(worker, "family")
    assert stays(lambda: run.workers() == [worker])


def test_a_worker_with_too_many_processes_below_it_is_killed_with_them(supervise: Supervise) -> None:
    run = supervise({"children": ["family", "ticker"]}, limits={"processes": 3})
    [worker] = run.ready()
    until(lambda: worker not in run.workers(), "it is killed")
    until(lambda: not run.agents(worker), "none of the processes is left", 3)
    assert any(event.get("why") == "JOBS_WORKER_PROCESSES" for event in run.events())


def stays(condition: Callable[[], bool]) -> bool:
    """Whether it holds, and goes on to for a second: ten ticks of the supervisor, three starts of a runner."""
    until_s = time.monotonic() + 1
    while condition():
        if time.monotonic() > until_s:
            return True
        time.sleep(0.05)
    return False
