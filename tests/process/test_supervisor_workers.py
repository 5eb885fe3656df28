"""The supervisor with real processes: workers are started, replaced, drained and forced."""

import os
import signal
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import psutil
import pytest

from tests.support.guarded.run import Supervise, supervising
from tests.support.processes import left_running, until
from workers.supervised import Supervised


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Supervise]:
    """Starts a supervisor: `worker` is the stand-ins' plan, `beside` what a shell does before it becomes the supervisor."""
    with supervising(tmp_path) as start:
        yield start


def test_a_worker_that_ends_is_replaced_later_each_time(supervise: Supervise) -> None:
    run = supervise({"exit_code": 3})
    until(lambda: sum(event["event"] == "worker.started" for event in run.events()) >= 5, "five starts", 20)
    at = {
        name: [datetime.fromisoformat(event["timestamp"]) for event in run.events() if event["event"] == name]
        for name in ("worker.started", "worker.ended")
    }
    waits = [
        (started - ended).total_seconds()
        for started, ended in zip(at["worker.started"][1:], at["worker.ended"], strict=False)
    ]
    for waited, meant in zip(waits, [0.0, 0.1, 0.2, 0.4], strict=False):
        assert meant <= waited < meant + 1, "a tick and a start, on a slow machine"
    assert all(event["exit_code"] == 3 for event in run.events() if event["event"] == "worker.ended")


def test_waits_between_replacements_double_up_to_5_s_and_begin_anew_after_a_long_life() -> None:
    place = Supervised(["no command"], {})
    waits = []
    for lived_s in [1, 1, 1, 1, 1, 1, 1, 1, 1, 10, 1]:
        place._set_due(lived_s)
        waits.append(place._wait_s())
    assert waits == pytest.approx([0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5, 0, 0.1])


def test_a_worker_that_cannot_be_started_is_tried_again() -> None:
    place = Supervised(["/no such program"], {})
    place.start_if_due()
    assert place.pid is None
    assert not place.note_end()
    assert place._wait_s() == 0
    place.start_if_due()
    assert place._wait_s() > 0


def test_a_sigterm_drains_the_workers_and_replaces_none(supervise: Supervise) -> None:
    run = supervise({"children": ["ticker", "daemon"]}, processes=2)
    run.ready(2)
    run.process.terminate()
    assert run.process.wait(10) == 0
    assert not left_running(run.mark)
    assert len(list(run.folder.glob("*.worker"))) == 2
    assert len(list(run.folder.glob("*.sigterm.1"))) == 2


def test_a_ctrl_c_is_one_request_to_drain_and_reaches_the_workers_as_sigterm(supervise: Supervise) -> None:
    run = supervise({})
    [worker] = run.ready()
    assert os.getsid(worker) == worker, "the terminal's signals do not reach its session"
    run.process.send_signal(signal.SIGINT)
    assert run.process.wait(10) == 0
    assert (run.folder / f"{worker}.sigterm.1").exists()


def test_a_second_signal_forces_the_workers(supervise: Supervise) -> None:
    run = supervise({"ends_at_sigterm": 2})
    [worker] = run.ready()
    run.process.terminate()
    until((run.folder / f"{worker}.sigterm.1").exists, "the worker has heard of the first")
    run.process.terminate()
    assert run.process.wait(10) == 0, "nobody had to be killed"
    assert (run.folder / f"{worker}.sigterm.2").exists()


def test_a_worker_that_does_not_obey_even_the_second_is_killed_with_its_agents(supervise: Supervise) -> None:
    run = supervise({"ends_at_sigterm": 0, "children": ["ticker", "daemon"]})
    [worker] = run.ready()
    run.writing(worker, "daemon", 1)
    run.process.terminate()
    until((run.folder / f"{worker}.sigterm.1").exists, "the worker has heard of the first")
    run.process.terminate()
    assert run.process.wait(10) == 1
    assert not left_running(run.mark)


@pytest.mark.parametrize("frozen", [False, True])
def test_a_worker_that_drains_for_too_long_is_killed_with_its_agents(supervise: Supervise, *, frozen: bool) -> None:
    run = supervise({"ends_at_sigterm": 0, "children": ["ticker", "daemon"]}, drain_s=0.2, margin_s=0.2)
    [worker] = run.ready()
    run.writing(worker, "daemon", 1)
    if frozen:
        os.kill(worker, signal.SIGSTOP)
    run.process.terminate()
    assert run.process.wait(10) == 1
    assert not left_running(run.mark)


def test_a_supervisor_with_nothing_to_do_costs_next_to_nothing(supervise: Supervise) -> None:
    run = supervise({}, processes=4, limits={"memory_bytes": 2**40, "processes": 500}, alone_processes=10)
    run.ready(4)
    watched = psutil.Process(run.process.pid)
    began, spent = time.monotonic(), sum(watched.cpu_times()[:2])
    until(lambda: time.monotonic() - began > 6, "a look for strangers has been among it", 20)
    assert (sum(watched.cpu_times()[:2]) - spent) / (time.monotonic() - began) < 0.009, "0.3 %, threefold"
