"""Which credentials go where, and what of them may be shown."""

import pytest

from cli.model import to_join
from sessions.settings import SessionSettings

SIMULATOR = {"ANTHROPIC_BASE_URL": "http://127.0.0.1:4711", "ANTHROPIC_API_KEY": "the simulator's"}
JOINS = {"DATABASE_URL": "postgresql://…", **SIMULATOR}


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*SIMULATOR, "CLAUDE_CODE_OAUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("name", ["ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN"])
def test_a_worker_with_credentials_does_not_take_them_to_the_simulator(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "a real one")
    assert to_join(JOINS, SessionSettings.read()) == {"DATABASE_URL": "postgresql://…"}


def test_a_worker_without_credentials_joins_the_simulator(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address alone, or an empty key, is no credentials: the simulator's key must not go to another address."""
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "https://proxy.example")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "")
    assert to_join(JOINS, SessionSettings.read()) == JOINS
