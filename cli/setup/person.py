"""The person at the terminal, and the questions they are asked. What is there already is the answer to an empty line."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from cli.printing import note
from cli.setup.given import Bot, Known

_EMBEDDED, _OWN = "embedded", "own"
_NONE = "none"


def ask_database(environ: Mapping[str, str]) -> dict[str, str]:
    """Which Postgres."""
    url = environ.get("DATABASE_URL", "")
    kind = _choice(
        "Postgres: the one that comes along, or one of your own", [_EMBEDDED, _OWN], _OWN if url else _EMBEDDED
    )
    if kind == _EMBEDDED:
        return {"DATABASE_URL": "", "DATABASE_DIRECT_URL": ""} if url else {}
    given = _secret("Its URL, postgresql://user:password@host:5432/database", is_set=bool(url))
    return {"DATABASE_URL": given, "DATABASE_DIRECT_URL": ""} if given else {}


def ask_model(environ: Mapping[str, str]) -> dict[str, str]:
    """Whose credentials, and which model."""
    from sessions.settings import SessionSettings

    names = {"key": "ANTHROPIC_API_KEY", "token": "CLAUDE_CODE_OAUTH_TOKEN"}
    now = next((kind for kind, name in names.items() if environ.get(name)), "simulator")
    text = "The model: an Anthropic API key, a token of a Claude subscription, or the built-in simulator"
    kind = _choice(text, ["key", "token", "simulator"], now)
    if kind == "simulator":
        return {} if kind == now else dict.fromkeys(names.values(), "")
    given = _secret(f"The {kind}", is_set=kind == now)
    changes = {name: given if kind == wanted else "" for wanted, name in names.items()} if given else {}
    model = _text("Which model answers", SessionSettings.read().model)
    return changes | _changed(environ, "JOBS_MODEL", model, SessionSettings.model_fields["model"].default)


def ask_workspaces(environ: Mapping[str, str], default: Path) -> dict[str, str]:
    """Where agents have their folders."""
    name = "JOBS_WORKSPACES"
    answer = _text("Where agents have their folders", environ.get(name) or str(default))
    return _changed(environ, name, str(Path(answer).expanduser().absolute()), str(default.absolute()))


def ask_owner(environ: Mapping[str, str]) -> dict[str, str]:
    """By what number the owner is known at Telegram."""
    name = "JOBS_OWNER_TG_USER_ID"
    answer = _text(f"Your number at Telegram; {_NONE}: ./jobs user pair finds it out", environ.get(name) or _NONE)
    return _changed(environ, name, "" if answer == _NONE else answer, "")


def ask_name(known: Known) -> str | None:
    """What the owner is called."""
    return _other(_text("What you are called", known.owner or "owner"), known.owner)


def ask_zone(known: Known) -> str | None:
    """Where the owner's days begin."""
    return _other(_text("Your time zone", known.zone or zone_here()), known.zone)


def ask_bot(known: Known, environ: Mapping[str, str]) -> Bot | None:
    """Whether a bot is to be logged in, and which."""
    there = f", beside {', '.join(known.accounts)}" if known.accounts else ""
    if not typer.confirm(f"Log a Telegram bot in{there}", default=False, err=True):
        return None
    api_id = _text("The API id, from my.telegram.org", environ.get("JOBS_TELEGRAM_API_ID") or None)
    is_set = bool(environ.get("JOBS_TELEGRAM_API_HASH"))
    api_hash = _secret("The API hash, from there, too", is_set=is_set) or environ["JOBS_TELEGRAM_API_HASH"]
    return Bot(_secret("The bot's token, from @BotFather", is_set=False), api_id, api_hash)


def zone_here() -> str:
    """The host's time zone, or UTC."""
    named = os.environ.get("TZ", "").removeprefix(":")
    linked = str(Path("/etc/localtime").resolve()).partition("zoneinfo/")[2]
    return named or linked or "UTC"


def _text(what: str, default: str | None) -> str:
    answer: str = typer.prompt(what, default=default, err=True)
    return answer.strip()


def _secret(what: str, *, is_set: bool) -> str:
    """What is typed is not shown. is_set: an empty line is an answer, too, and leaves what is there."""
    default: dict[str, Any] = {"default": "", "show_default": False} if is_set else {}
    answer: str = typer.prompt(
        f"{what} (not shown{'; empty: as it is' if is_set else ''})", hide_input=True, err=True, **default
    )
    return answer.strip()


def _choice(what: str, kinds: list[str], default: str) -> str:
    while (answer := _text(f"{what} ({', '.join(kinds)})", default)) not in kinds:
        note(f"{answer!r} is none of them.")
    return answer


def _changed(environ: Mapping[str, str], name: str, answer: str, default: str) -> dict[str, str]:
    """The variable, if it is another one than now; one that is as it would be anyway is not set."""
    wanted = "" if answer == default else answer
    return {} if wanted == environ.get(name, "") else {name: wanted}


def _other(answer: str, known: str | None) -> str | None:
    return None if answer == known else answer
