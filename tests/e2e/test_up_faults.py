"""What `./jobs up` does when its processes die, one by one and all at once: it goes on, and no job is lost."""

import json
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.processes import lives, until
from tests.support.up import Home, Started

CHILDREN = ("supervise", "serve", "simulator", "cli.postgres_keeper")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home(tmp_path_factory.mktemp("up"))


@pytest.fixture(scope="module")
def running(home: Home) -> Iterator[Started]:
    with home.up() as up:
        up.await_children(*CHILDREN)
        yield up


@pytest.mark.parametrize("name", CHILDREN)
def test_a_process_that_was_killed_is_started_again_and_chats_go_on(home: Home, running: Started, name: str) -> None:
    killed = running.children()[name]
    killed.kill()
    until(lambda: running.children().get(name, killed) != killed, f"{name} runs again", 60)
    until(lambda: healthy(running), "all is ready again", 60)
    reply = home.run("chat", "hello", "--json")
    assert '"status": "answered"' in reply.stdout, reply.stderr
    assert running.process.poll() is None


@pytest.mark.parametrize("name", ["postgres", "worker-process"])
def test_a_process_below_them_that_was_killed_is_started_again_too(home: Home, running: Started, name: str) -> None:
    killed = next(process for process in home.left() if name in (process.name(), *process.cmdline()))
    killed.kill()
    until(lambda: not lives(killed.pid), "it is dead")
    until(lambda: healthy(running), "all is ready again", 60)
    assert home.json("chat", "hello")["status"] == "answered"


def healthy(up: Started) -> bool:
    try:
        return httpx.get(f"{up.url}/health", timeout=10).status_code == 200
    except httpx.HTTPError:
        return False


def test_after_kill_9_of_everything_the_next_start_is_clean_and_no_job_is_lost(tmp_path: Path) -> None:
    home, lease = Home(tmp_path), {"JOBS_LEASE_S": "3", "JOBS_RENEW_S": "1"}
    with home.up(**lease) as up:
        session = home.json("chat", "I like tea")["session_id"]
        later = home.json("create", "hello", "--input", '{"name": "Ada"}', "--in", "1h")["id"]
        unserved = home.json("create", "hello", "--input", '{"name": "Bo"}', "--queue", "unserved")["id"]
        with home.start("chat", "[[stall 3s]] [[text Through.]]"):
            running: list[Any] = []
            until(lambda: running.extend(home.json("ls", "--state", "running")) or running, "a turn runs", 60)
            home.kill_all()
        up.process.wait()
    with home.up(**lease):
        assert home.json("show", str(later))["state"] == "pending"
        assert home.json("show", str(unserved))["state"] == "pending"
        assert "I like tea" in home.json("chat", "What did I say first?", "--session", session)["response"]
        until(lambda: home.json("show", str(running[0]["id"]))["state"] == "complete", "the cut turn is answered", 90)


def test_nothing_outlives_an_up_that_was_killed(tmp_path: Path) -> None:
    """Not its Postgres, not a worker, not the CLI of a turn that runs."""
    home = Home(tmp_path)
    with home.up() as up, home.start("chat", "[[stall]]") as asking:
        until(lambda: any("--model" in process.cmdline() for process in home.left()), "the CLI runs", 60)
        up.process.kill()
        up.process.wait()
        asking.process.wait(60)
        until(lambda: not home.left(), f"nothing is left of {home.left()}", 60)


def test_two_starts_at_once_end_with_one_that_runs(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with home.start("up", "--port", "0", "--json") as one, home.start("up", "--port", "0", "--json") as other:
        until(lambda: one.process.poll() is not None or other.process.poll() is not None, "one gave in", 60)
        lost, won = (one, other) if one.process.poll() is not None else (other, one)
        assert lost.process.returncode == 1
        won.await_ready()
        assert home.json("create", "hello", "--input", '{"name": "Ada"}', "--wait")["state"] == "complete"
        assert won.stop() == 0
    assert home.left() == []


def test_a_postgres_whose_port_was_taken_meanwhile_is_found_at_its_new_one(tmp_path: Path) -> None:
    """By the web API, by the workers, and by commands that join."""
    home = Home(tmp_path)
    with home.up() as up:
        joins = tmp_path / "data" / "joins"
        port = int(json.loads(joins.read_text())["DATABASE_URL"].rsplit(":", 1)[1].split("/")[0])
        up.process.send_signal(signal.SIGSTOP)  # or it would be quicker than we are
        up.children()["cli.postgres_keeper"].kill()
        with taken(port):
            up.process.send_signal(signal.SIGCONT)
            until(lambda: f":{port}/" not in joins.read_text(), "it is announced at another port", 60)
            until(lambda: healthy(up), "all is ready again", 90)
            assert home.json("chat", "hello")["status"] == "answered"
            assert home.json("create", "hello", "--input", '{"name": "Ada"}', "--wait")["state"] == "complete"


def taken(port: int) -> socket.socket:
    """The port, held by us as soon as its owner has let go of it."""
    while True:
        with suppress(OSError):
            return socket.create_server(("127.0.0.1", port))
        time.sleep(0.01)
