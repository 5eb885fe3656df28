"""The doors that the drill `hostile` knocks at. Each returns what was wrong with the refusal; '' is as it should be."""

import asyncio
import os
import random
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx

from cli.settings import CliSettings
from jobs_core import ConfigurationError, InvalidInput, Jobs
from jobs_core.new_job import NewJob
from jobs_core.settings import CoreSettings, HistorySettings
from sessions.settings import SessionSettings
from tests.drills.hostile_payloads import Request
from workers.settings import WorkerSettings

TOKEN = "a-token-for-the-drill-only"
HANDLERS = "tests.drills.hostile_types"
_MOST_LINES = 12
"""Of a refusal by the command: typer draws its own with the usage."""
_CHECKOUT = Path(__file__).resolve().parents[2]
_COMMAND = [sys.executable, "-P", "-m", "cli"]
_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "LANG")

ARGUMENTS: list[tuple[list[str | bytes], str]] = [
    ([b"\xff\xfe"], "no job type"),
    (["no such type"], "no such type"),
    (["probe", "--input", "[" * 10_000], "input"),
    (["probe", "--input", '{"payload": 1e400}'], "input.payload"),
    (["probe", "--input", '{"payload": ' + "1" * 5_000 + "}"], "input"),
    (["probe", "--input", '{"payload": "\\ud800"}'], "input.payload"),
    (["probe", "--input", b'{"payload": "\xff"}'], ""),
    (["probe", "--input", '{"n": "x"}'], "input.n"),
    (["probe", "--input", "@/dev/zero"], "input"),
    (["probe", "--queue", b"\xed\xa0\x80"], ""),
    (["probe", "--user", "x" * 10_000], "user"),
    (["probe", "--priority", "9" * 5_000], "priority"),
    (["probe", "--priority", "nan"], "priority"),
    (["probe", "--at", "10000-01-01T00:00Z"], "--at"),
    (["probe", "--at", "0001-01-01T00:00+23:00"], "scheduled_for"),
    (["probe", "--in", "1e400d"], "--in"),
    (["probe", "--idempotency-key", ""], "idempotency_key"),
]
"""What follows `./jobs create`, and a word of the refusal."""


def environment(dsn: str, folder: Path) -> dict[str, str]:
    """That of a command on this database, its data in this folder; nothing of ours."""
    kept = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    own = {"DATABASE_URL": dsn, "JOBS_DATA": str(folder), "JOBS_TOKEN": TOKEN, "JOBS_HANDLERS": HANDLERS}
    return {**kept, **own, "HOME": str(folder), "PYTHONPATH": str(_CHECKOUT)}


@contextmanager
def web(dsn: str, folder: Path) -> Iterator[tuple[int, str]]:
    """`./jobs web` on this database: its pid and its URL; its log is `web.log` in the folder."""
    path = folder / "web.log"
    with path.open("wb") as log:
        command = [*_COMMAND, "web", "--port", "0", "--json"]
        process = subprocess.Popen(command, env=environment(dsn, folder), cwd=folder, stdout=log, stderr=log)
    try:
        while "Serving on " not in (said := path.read_text()):
            if process.poll() is not None:
                raise RuntimeError(f"the web process ended: {said}")
            time.sleep(0.05)
        yield process.pid, said.split("Serving on ")[1].split()[0]
    finally:
        process.kill()
        process.wait()


async def by_http(client: httpx.AsyncClient, request: Request) -> str:
    """Send it: 4xx, in the form that errors have, naming the field."""

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(request.content), 65_536):
            yield request.content[start : start + 65_536]

    content = chunks() if request.chunked else request.content
    try:
        answer = await client.request(request.method, request.path, content=content, headers=request.headers)
    except httpx.TransportError as error:
        return f"no answer: {type(error).__name__}: {error}"
    if not 400 <= answer.status_code < 500:
        return f"{answer.status_code}: {answer.text[:200]}"
    told = answer.json().get("error", {})
    if told.keys() != {"code", "message", "field"} or not told["message"]:
        return f"{answer.status_code} without a reason: {answer.text[:200]}"
    return _misnamed(told["field"] or "", request.names)


async def by_create(jobs: Jobs, given: dict[str, Any], name: str, *, many: bool) -> str:
    """Create it: InvalidInput naming the field."""
    try:
        if many:
            await jobs.create_many([NewJob("probe", {}), NewJob(**given)])
        else:
            await jobs.create(**given)
    except InvalidInput as error:
        return _misnamed(error.field, name)
    except Exception as error:  # noqa: BLE001 - whatever else a create raises is what the drill looks for
        return f"{type(error).__name__}: {str(error)[:200]}"
    return "it was created"


def _misnamed(given: str, wanted: str) -> str:
    return "" if given.startswith(wanted) else f"names {given[:80]!r}, not {wanted!r}"


async def by_command(arguments: list[str | bytes], word: str, dsn: str, folder: Path) -> str:
    """`./jobs create`: status 1 or 2, a last line that holds the word, no traceback."""
    process = await asyncio.create_subprocess_exec(
        *_COMMAND,
        "create",
        *arguments,
        env=environment(dsn, folder),
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    stdout, stderr = await process.communicate()
    said = stderr.decode(errors="replace")
    if process.returncode not in {1, 2} or stdout or "Traceback" in said:
        return f"status {process.returncode}: {stdout[:80]!r} {said[-300:]}"
    return (
        "" if word in said and said.count("\n") <= _MOST_LINES else f"not one line that names {word!r}: {said[-300:]}"
    )


def by_environment(rng: random.Random) -> str:
    """A setting that is no number where one is wanted: ConfigurationError naming the variable."""
    settings = rng.choice((CoreSettings, HistorySettings, SessionSettings, WorkerSettings, CliSettings))
    numbers = [name for name, known in settings.model_fields.items() if known.annotation in {int, float}]
    if not numbers:
        return "it has no numbers"
    variable = f"JOBS_{rng.choice(numbers).upper()}"
    value = rng.choice(
        ["nan", "x", "-1", "1e", "\udcff", "\N{ARABIC-INDIC DIGIT THREE}x", "0x10", "-inf", "1" * 5_000 + "x"]
    )
    try:
        with patch.dict(os.environ, {variable: value}):
            settings.read()
    except ConfigurationError as error:
        return _misnamed(str(error), variable)
    return f"{variable}={value[:20]!r} was taken"
