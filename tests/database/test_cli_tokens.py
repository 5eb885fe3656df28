"""`./jobs token`'s verbs on a database, each command in this process."""

import json
from collections.abc import Callable

import pytest

from cli.app import main

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `./jobs token …`; returns its exit status, what it printed, and what it warned of."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("JOBS_TOKEN", "the operator's own token")

    def once(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["jobs", "token", *arguments])
        status = main()
        told = capsys.readouterr()
        return status, told.out, told.err

    return once


def test_without_a_verb_it_prints_the_operators_as_ever(run: Run) -> None:
    assert run() == (0, "the operator's own token\n", "")
    assert json.loads(run("--json")[1]) == {"token": "the operator's own token"}


def test_a_token_is_made_listed_and_revoked(run: Run) -> None:
    _, text, _ = run("create", "my page", "--scope", "chats:read", "--expires", "30d")
    assert text.startswith("jobs_")
    made = json.loads(run("create", "other", "--json")[1])
    _, listed, _ = run("ls")
    assert [line.split("  ")[:2] for line in listed.splitlines()] == [["2", "other"], ["1", "my page"]]
    assert "never used: chats:read" in listed
    assert text.strip() not in listed
    assert "revoked" in run("revoke", "1")[1]
    tokens = json.loads(run("ls", "--json", "--user", made["about"]["user_id"])[1])
    assert [token["revoked_at"] is None for token in tokens] == [True, False]


def test_what_cannot_be_is_one_line(run: Run) -> None:
    for arguments, says in (
        (["create", "t", "--scope", "root"], "scopes: root cannot be given to an owner"),
        (["create", "t", "--user", "u_nobody"], "There is no user 'u_nobody'"),
        (["create", "t", "--expires", "soon"], "--expires: 'soon' is not a duration"),
        (["create", "t", "--expires", "0s"], "expires_in: is not between"),
        (["create", " "], "name"),
        (["revoke", "9"], "there is no token 9"),
    ):
        status, out, warned = run(*arguments)
        assert (status, out) == (1, ""), arguments
        assert says in warned
        assert warned.count("\n") == 1
