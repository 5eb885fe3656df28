"""The supervisor is asked for more workers, or fewer, while it runs."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.guarded.run import Run, Supervise, supervising
from tests.support.processes import left_running, until

MORE, FEWER = signal.SIGUSR1, signal.SIGUSR2


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Supervise]:
    """Starts a supervisor: `worker` is the stand-ins' plan."""
    with supervising(tmp_path) as start:
        yield start


def asked_to_drain(run: Run, worker: int, times: int = 1) -> bool:
    return (run.folder / f"{worker}.sigterm.{times}").exists()


def scaled(run: Run) -> list[int]:
    """How many workers there were to be, after each request that was taken."""
    return [event["processes"] for event in run.events() if event["event"] == "supervisor.scaled"]


def test_one_more_is_started_guarded_and_replaced_like_the_others(supervise: Supervise) -> None:
    run = supervise({"children": ["ticker"]})
    run.ready()
    run.process.send_signal(MORE)
    _, added = run.ready(2)
    run.writing(added, "ticker")
    os.kill(added, signal.SIGKILL)
    until(lambda: not run.agents(added), "its agents are gone")
    assert added not in run.ready(2)
    run.process.terminate()
    assert run.process.wait(10) == 0
    assert not left_running(run.mark)


def test_one_fewer_drains_and_none_comes_in_its_place(supervise: Supervise) -> None:
    run = supervise({}, processes=3)
    before = run.ready(3)
    run.process.send_signal(FEWER)
    left = run.ready(2)
    (gone,) = set(before) - set(left)
    assert asked_to_drain(run, gone)
    until(lambda: any(event["event"] == "worker.ended" for event in run.events()), "its end is noted")
    assert scaled(run) == [2]
    run.process.send_signal(MORE)
    assert set(left) < set(run.ready(3))
    run.process.terminate()
    assert run.process.wait(10) == 0


def test_as_many_run_as_are_wanted_and_signals_go_on_from_there(supervise: Supervise, tmp_path: Path) -> None:
    wanted = tmp_path / "wanted"

    def want(processes: int) -> None:
        (tmp_path / "new").write_text(str(processes))
        (tmp_path / "new").replace(wanted)

    run = supervise({}, wanted=str(wanted))
    run.ready(1)
    want(3)
    before = run.ready(3)
    run.process.send_signal(FEWER)
    left = run.ready(2)
    want(0)
    (last,) = run.ready(1)
    assert {last} < set(left) < set(before)
    until(lambda: scaled(run) == [2, 3, 2, 1], "one stays")
    run.process.terminate()
    assert run.process.wait(10) == 0


def test_the_last_one_stays(supervise: Supervise) -> None:
    run = supervise({}, processes=2)
    run.ready(2)
    run.process.send_signal(FEWER)
    (last,) = run.ready(1)
    run.process.send_signal(FEWER)
    until(lambda: any(event["event"] == "supervisor.not_scaled" for event in run.events()), "it is refused")
    assert scaled(run) == [1]
    assert not asked_to_drain(run, last)


def test_one_that_leaves_and_does_not_end_is_killed_with_its_agents(supervise: Supervise) -> None:
    run = supervise({"ends_at_sigterm": 0, "children": ["daemon"]}, processes=2, drain_s=0.2, margin_s=0.2)
    for worker in run.ready(2):
        run.writing(worker, "daemon")
    run.process.send_signal(FEWER)
    (left,) = run.ready(1)
    until(lambda: {process.pid for process in left_running(run.mark)} == of(run, left), "nothing of the other is left")


def of(run: Run, worker: int) -> set[int]:
    """The supervisor, a worker, and what it has started."""
    return {run.process.pid, worker, *(process.pid for process in run.agents(worker))}


def test_one_that_leaves_is_not_hurried_when_all_are_asked_to_drain(supervise: Supervise) -> None:
    """Asked twice, a worker hands back what it runs at once."""
    run = supervise({"ends_at_sigterm": 2}, processes=2)
    before = run.ready(2)
    run.process.send_signal(FEWER)
    until(lambda: any(asked_to_drain(run, worker) for worker in before), "one is asked to drain")
    run.process.terminate()
    until(lambda: all(asked_to_drain(run, worker) for worker in before), "all are")
    assert not any(asked_to_drain(run, worker, times=2) for worker in before)
    run.process.terminate()
    assert run.process.wait(10) == 0, "the second word forces both"
