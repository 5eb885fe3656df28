from pathlib import Path

import pytest

from cli.table import bind_agents, bind_senders, build_table
from handlers.hello import Greeting, Hello, greet
from jobs_core import ConfigurationError, Job

EXTRA = """
from pydantic import BaseModel
from jobs_core import JobType

class Extra(BaseModel):
    pass

async def run(job):
    pass

def register(table):
    table.register_handler(JobType("extra", Extra, queue="more"), run)
"""


def test_the_table_knows_the_example_and_the_chats() -> None:
    table = build_table()
    assert table.runnable == ["hello", "report_end", "tell"]
    assert table.queues() == ["default"]
    assert table.job_type("chat_turn").queue == "chat"


def test_handlers_from_elsewhere_are_found_in_the_current_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere_handlers.py").write_text(EXTRA)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", ["/nowhere"])
    assert "extra" in build_table("elsewhere_handlers").runnable


def test_what_lies_in_the_current_directory_stands_in_for_nothing_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere_again.py").write_text(EXTRA)
    (tmp_path / "json.py").write_text("raise SystemExit")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", ["/nowhere"])
    build_table("elsewhere_again")
    import sys

    assert sys.path == ["/nowhere", str(tmp_path)]


@pytest.mark.parametrize("module", ["no_such_module", "handlers", "handlers.hello"])
def test_a_module_that_cannot_be_used_is_named(module: str) -> None:
    """It is missing, has no register(table), or registers a type twice."""
    with pytest.raises(ConfigurationError, match=f"JOBS_HANDLERS: {module} cannot be used"):
        build_table(module)


def test_modules_that_ask_agents_are_given_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bind = "given = []\n\ndef register_agents(table, *, database, sessions):\n    given.append((database, sessions))\n"
    (tmp_path / "asks_agents.py").write_text(EXTRA + bind)
    (tmp_path / "asks_wrongly.py").write_text(EXTRA.replace("extra", "wrong") + "register_agents = 7\n")
    monkeypatch.chdir(tmp_path)
    database, sessions = object(), object()
    table = build_table("asks_agents,asks_wrongly")
    bind_agents("asks_agents", table, database=database, sessions=sessions, wake=list)  # type: ignore[arg-type]  # stand-ins
    import asks_agents

    assert asks_agents.given == [(database, sessions)]
    with pytest.raises(ConfigurationError, match="JOBS_HANDLERS: asks_wrongly cannot be used"):
        bind_agents("asks_wrongly", table, database=database, sessions=sessions, wake=list)  # type: ignore[arg-type]  # stand-ins


def test_a_channels_sender_has_its_deliveries_bound_and_the_queues_of_its_accounts_served() -> None:
    table, database = build_table("tests.support.post"), object()
    queues = bind_senders("tests.support.post", table, database=database)  # type: ignore[arg-type]  # a stand-in
    assert queues == ["out:webhook", "out:bot", "out:me"]
    assert table.runnable == ["deliver", "hello", "report_end", "tell"]
    assert bind_senders("", build_table(), database=database) == ["out:webhook"]  # type: ignore[arg-type]  # likewise
    with pytest.raises(ConfigurationError, match="channel 'telegram' has a sender already"):
        bind_senders("tests.support.post,tests.support.post", table, database=database)  # type: ignore[arg-type]  # likewise


async def test_the_example_greets() -> None:
    job = Job.__new__(Job)
    object.__setattr__(job, "input", Hello(name="Ada"))
    assert (await greet(job)).result == Greeting(text="Hello, Ada!")
