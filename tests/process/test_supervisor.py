"""The supervisor with real processes: whatever becomes of a worker, its agents end with it, and only those."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.guarded.children import last_line_ns
from tests.support.processes import MARK, kill_left, left_running, until
from workers.process_table import children
from workers.supervised import Supervised

CHECKOUT = Path(__file__).parents[2]
GONE_S = 3.0
"""Within 1 s nothing of a worker is left; threefold, for slow machines."""


class Run:
    """A running supervisor of stand-ins, seen from outside."""

    def __init__(self, folder: Path, process: subprocess.Popen[bytes], mark: str) -> None:
        self.folder = folder
        self.process = process
        self.mark = mark

    def workers(self) -> list[int]:
        """The pids of the workers that are ready and live, oldest first."""
        ready = sorted(self.folder.glob("*.worker"), key=lambda file: file.stat().st_mtime_ns)
        return [int(file.stem) for file in ready if alive(int(file.stem))]

    def ready(self, count: int = 1) -> list[int]:
        """Wait for so many workers."""
        until(lambda: len(self.workers()) == count, f"{count} workers ready")
        return self.workers()

    def agents(self, worker: int) -> list[psutil.Process]:
        """What descends from a worker, dead or alive."""
        return left_running(f"{self.mark}/{worker}")

    def writing(self, worker: int, kind: str, number: int = 0) -> Path:
        """Wait until this child of a worker writes."""
        file = self.folder / f"{worker}.{kind}.{number}"
        until(lambda: last_line_ns(file), f"{file.name} writes")
        return file

    def events(self) -> list[dict[str, Any]]:
        """What the supervisor logged so far."""
        return [json.loads(line) for line in (self.folder / "log").read_text().splitlines() if line.startswith("{")]


Supervise = Callable[..., Run]


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Supervise]:
    """Starts a supervisor: `worker` is the stand-ins' plan, `beside` what a shell does before it becomes the supervisor."""
    with supervising(tmp_path) as start:
        yield start


@contextmanager
def supervising(folder: Path) -> Iterator[Supervise]:
    """At the end nothing of it is left, whatever the test did."""
    mark = uuid.uuid4().hex
    started: list[subprocess.Popen[bytes]] = []

    def start(worker: dict[str, Any], *, beside: str = "", **supervision: Any) -> Run:
        how = {"worker": {"folder": str(folder), **worker}, **supervision}
        command = [sys.executable, "-m", "tests.support.guarded.supervise", json.dumps(how)]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                ["sh", "-c", f'{beside} exec "$@"', "sh", *command],
                cwd=CHECKOUT,
                env={**os.environ, MARK: mark},
                stdout=log,
                stderr=log,
            )
        started.append(process)
        return Run(folder, process, mark)

    try:
        yield start
    finally:
        for process in started:
            process.kill()
            process.wait()
        kill_left(mark)


def alive(pid: int) -> bool:
    """Whether a process runs or is frozen."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def silent(*files: Path) -> bool:
    """Whether nobody writes into these files for as long as eight lines of the slowest take."""
    before = [file.stat().st_size for file in files]
    time.sleep(0.4)
    return before == [file.stat().st_size for file in files]


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
    assert not silent(file)


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
    assert run.process.wait(2) == 0, "nobody had to be killed"
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
    run = supervise({}, processes=4)
    run.ready(4)
    watched = psutil.Process(run.process.pid)
    began, spent = time.monotonic(), sum(watched.cpu_times()[:2])
    until(lambda: time.monotonic() - began > 6, "a look for strangers has been among it", 20)
    assert (sum(watched.cpu_times()[:2]) - spent) / (time.monotonic() - began) < 0.009, "0.3 %, threefold"
