"""The guard with real processes: whatever becomes of a worker, its agents end with it, and only those."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.guarded.children import last_line_ns
from tests.support.guarded.run import Run, Supervise, alive, silent, supervising
from tests.support.processes import left_running, until
from workers.process_table import children

GONE_S = 3.0
"""Within 1 s nothing of a worker is left; threefold, for slow machines."""


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Supervise]:
    """Starts a supervisor: `worker` is the stand-ins' plan, `beside` what a shell does before it becomes the supervisor."""
    with supervising(tmp_path) as start:
        yield start


def test_agents_of_a_killed_worker_die_and_its_neighbours_do_not(supervise: Supervise) -> None:
    run = supervise({"children": ["ticker", "daemon"]}, processes=2)
    victim, neighbour = run.ready(2)
    for worker in (victim, neighbour):
        run.writing(worker, "ticker")
        run.writing(worker, "daemon", 1)
    spared = {process.pid for process in run.agents(neighbour)}
    os.kill(victim, signal.SIGKILL)
    until(lambda: not run.agents(victim), "its agents are gone, the one that had daemonised too", GONE_S)
    assert spared <= {process.pid for process in run.agents(neighbour)} | ended_by_themselves(spared)
    assert neighbour in run.ready(2)
    until(lambda: not any(child.ended for child in children(run.process.pid)), "the supervisor has taken note of each")


def ended_by_themselves(pids: set[int]) -> set[int]:
    """A ticker's `date` and `sleep` come and go."""
    return {pid for pid in pids if not alive(pid)}


def test_a_child_that_the_supervisors_process_had_before_is_left_alone(supervise: Supervise, tmp_path: Path) -> None:
    """As of `./jobs worker | …` in a shell that then becomes the supervisor."""
    run = supervise(
        {"children": ["ticker"]}, beside=f"sh -c 'while :; do date +%s%N; sleep 0.05; done' > {tmp_path}/beside &"
    )
    [worker] = run.ready()
    os.kill(worker, signal.SIGKILL)
    until(lambda: not run.agents(worker), "its agents are gone")
    run.ready()
    run.process.terminate()
    assert run.process.wait(10) == 0
    assert not silent(tmp_path / "beside")


def test_without_a_subreaper_the_daemonised_agent_would_live_on(supervise: Supervise) -> None:
    run = supervise({"children": ["daemon"]}, without=["subreaper"])
    [worker] = run.ready()
    file = run.writing(worker, "daemon")
    os.kill(worker, signal.SIGKILL)
    [_] = run.ready()
    assert not silent(file)


def test_without_a_subreaper_a_killed_workers_process_group_dies_all_the_same(supervise: Supervise) -> None:
    run = supervise({"children": ["ticker"]}, without=["subreaper"])
    [worker] = run.ready()
    run.writing(worker, "ticker")
    os.kill(worker, signal.SIGKILL)
    until(lambda: not run.agents(worker), "its agents are gone", GONE_S)


def test_agents_of_a_frozen_worker_die_at_its_deadline_and_it_does_not(supervise: Supervise) -> None:
    run = supervise({"children": ["ticker", "daemon"]}, processes=2)
    frozen, neighbour = run.ready(2)
    files = [run.writing(frozen, "ticker"), run.writing(frozen, "daemon", 1)]
    spared = run.writing(neighbour, "ticker")
    os.kill(frozen, signal.SIGSTOP)
    latest_deadline_ns = time.time_ns() + int(0.6e9)
    until(lambda: not run.agents(frozen), "the frozen worker's agents are gone", 0.6 + GONE_S)
    assert all(last_line_ns(file) < latest_deadline_ns + 1e9 for file in files), "a tick or three, on a slow machine"
    assert psutil.Process(frozen).status() == psutil.STATUS_STOPPED
    assert not silent(spared)


def test_without_the_deadline_a_frozen_workers_agent_would_live_on(supervise: Supervise) -> None:
    run = supervise({"children": ["ticker"]}, without=["deadlines"])
    [worker] = run.ready()
    file = run.writing(worker, "ticker")
    os.kill(worker, signal.SIGSTOP)
    passed_ns = time.time_ns() + int(1.2e9)
    until(lambda: last_line_ns(file) > passed_ns, "a line after the deadline")


def test_a_worker_that_comes_back_after_its_deadline_goes_on_under_guard(supervise: Supervise) -> None:
    run = supervise({"children": ["ticker"]})
    [worker] = run.ready()
    run.writing(worker, "ticker")
    os.kill(worker, signal.SIGSTOP)
    until(lambda: not run.agents(worker), "its agents are gone")
    os.kill(worker, signal.SIGCONT)
    before = renewals_of(run, worker)
    until(lambda: renewals_of(run, worker) >= before + 3, "it has renewed, and the guard has heard it")
    os.kill(worker, signal.SIGUSR1)
    file = run.writing(worker, "ticker", 1)
    renewed_ns = last_line_ns(file) + int(1.2e9)
    until(lambda: last_line_ns(file) > renewed_ns, "the new agent lives for longer than one lease")
    os.kill(worker, signal.SIGSTOP)
    until(lambda: not run.agents(worker), "its agents are gone again", 0.6 + GONE_S)


def renewals_of(run: Run, worker: int) -> int:
    """How often a worker has told a deadline."""
    return (run.folder / f"{worker}.renewals").stat().st_size


def test_a_worker_past_its_deadline_cannot_start_another_agent(supervise: Supervise) -> None:
    run = supervise({"children": ["ticker"], "renews": False})
    [worker] = run.ready()
    until(lambda: not run.agents(worker), "its agents are gone")
    os.kill(worker, signal.SIGUSR1)
    until((run.folder / f"{worker}.ticker.1").exists, "another agent has started")
    until(lambda: not run.agents(worker), "it is gone, too", GONE_S)


def test_without_a_lease_there_is_no_deadline(supervise: Supervise) -> None:
    run = supervise({"children": ["ticker"], "renews": False, "lease_s": 2.0})
    [worker] = run.ready()
    os.kill(worker, signal.SIGUSR2)
    file = run.writing(worker, "ticker")
    passed_ns = time.time_ns() + int(2.5e9)
    until(lambda: last_line_ns(file) > passed_ns, "a line after the deadline")


@pytest.mark.parametrize("kind", ["chain", "family"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_agents_cannot_escape_by_forking(supervise: Supervise, kind: str, number: signal.Signals) -> None:
    """`chain`: each process forks and ends within 2 ms, in a session of its own. `family`: whoever ends is replaced."""
    run = supervise({"children": [kind]})
    [worker] = run.ready()
    file = run.writing(worker, kind)
    os.kill(worker, number)
    until(lambda: silent(file), f"no {kind} writes any more", 0.6 + GONE_S)
    assert not run.agents(worker)


def test_everything_ends_with_a_killed_supervisor(supervise: Supervise) -> None:
    run = supervise({"children": ["ticker", "daemon"]}, processes=2)
    for worker in run.ready(2):
        run.writing(worker, "ticker")
        run.writing(worker, "daemon", 1)
    run.process.kill()
    run.process.wait()
    until(lambda: not left_running(run.mark), "nothing is left", GONE_S)


def test_a_worker_that_is_frozen_when_its_supervisor_is_killed_ends_with_its_agents(supervise: Supervise) -> None:
    run = supervise({"children": ["ticker", "daemon"], "lease_s": 600})
    [worker] = run.ready()
    run.writing(worker, "daemon", 1)
    os.kill(worker, signal.SIGSTOP)
    run.process.kill()
    run.process.wait()
    until(lambda: not left_running(run.mark), "nothing is left", GONE_S)


def test_without_the_wake_up_a_frozen_worker_would_keep_its_agents(supervise: Supervise) -> None:
    run = supervise({"children": ["ticker"], "lease_s": 600, "without": ["wake"]})
    [worker] = run.ready()
    file = run.writing(worker, "ticker")
    os.kill(worker, signal.SIGSTOP)
    run.process.kill()
    run.process.wait()
    passed_ns = time.time_ns() + int(1e9)
    until(lambda: last_line_ns(file) > passed_ns, "a line long after")


def test_a_worker_that_lost_its_supervisor_starts_no_more_agents(supervise: Supervise) -> None:
    run = supervise({"spawns": True})
    [worker] = run.ready()
    until(lambda: len(run.agents(worker)) > 3, "it starts one agent after the other")
    run.process.kill()
    run.process.wait()
    until(lambda: not left_running(run.mark), "nothing is left", GONE_S)


def test_without_refusing_to_start_more_an_agent_would_be_left(supervise: Supervise) -> None:
    """The other thread has to win a race: two times in three it does; hence eight tries."""

    def leaves_one() -> bool:
        run = supervise({"spawns": True, "without": ["refusal"]})
        [worker] = run.ready()
        run.process.kill()
        run.process.wait()
        until(lambda: not alive(worker), "the worker is gone")
        time.sleep(0.3)
        return bool(left_running(run.mark))

    assert any(leaves_one() for _ in range(8))
