"""Which credentials go where, and what of them may be shown."""

import asyncio

import pytest

from cli.child import Child, environment
from cli.model import RealApi, to_join
from jobs_core import ConfigurationError
from sessions.failures import Failure
from sessions.probe import _judge
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


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:secret@proxy.example:8443/secret?key=secret#secret", "https://proxy.example:8443"),
        ("http://secret@[::1]:80", "http://[::1]:80"),
        ("http://host:secret", "an ANTHROPIC_BASE_URL that is no URL"),
        ("http://[secret", "an ANTHROPIC_BASE_URL that is no URL"),
        ("user:secret@host", "an ANTHROPIC_BASE_URL that is no URL"),
        ("", "the Anthropic API"),
    ],
)
def test_an_address_is_shown_without_its_secrets(url: str, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", url)
    settings = SessionSettings.read()
    probe = Child("probe", list, environment, patience_s=0, forced=asyncio.Event())
    assert settings.shown_url == shown
    assert RealApi(settings, probe).label == f"{settings.model}, at {shown}"


@pytest.mark.parametrize(
    ("error", "status"),
    [("model_not_found", 404), ("unknown", None), ("invalid_request", 400), ("authentication_failed", 401)],
)
def test_a_failed_trial_does_not_repeat_the_addresss_secrets(
    error: str, status: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = "https://user:secret@proxy.example/"
    monkeypatch.setenv("ANTHROPIC_BASE_URL", url)
    failure = Failure(error=error, status=status, text=f"cannot fetch {url}v1/messages")
    with pytest.raises(ConfigurationError, match=r"https://proxy\.example\b") as caught:
        _judge(failure, SessionSettings.read())
    assert "secret" not in str(caught.value)
