"""Checks of this host: what runs agents, and where files lie."""

import asyncio
import importlib.util
import os
import shutil
import tempfile
from pathlib import Path

from assistant.settings import AssistantSettings, MediaSettings, VoiceSettings
from assistant.workspaces import Workspaces
from cli import saved
from cli.doctor.check import Finding, fail, fail_by, ok, skipped, warn
from cli.doctor.place import Place
from cli.model import refused
from cli.settings import CliSettings
from gateways.telegram.settings import TelegramSettings
from handlers.transcribe import missing
from jobs_core.settings import HistorySettings
from sessions.options import find_cli
from sessions.settings import SessionSettings
from workers.settings import WorkerSettings

_KEPT = ("PATH", "LANG", "LC_ALL")
_MIB = 1 << 20


async def settings(place: Place) -> Finding:
    """Can all settings be read?"""
    kinds = (WorkerSettings, HistorySettings, SessionSettings, AssistantSettings, MediaSettings, VoiceSettings)
    for kind in (*kinds, TelegramSettings):
        kind.read()
    file = place.folder.path / saved.FILE
    if file.exists() and file.stat().st_mode & 0o077:
        return warn(f"{file} can be read by others, and holds secrets", f"chmod 600 {file}")
    return ok(f"all are understood; the folder is {place.folder.path}")


async def cli(_: Place) -> Finding:
    """Is the Claude Code CLI there, does it start, and is it the version that this program is made for?"""
    settings = SessionSettings.read()
    program = find_cli(settings)
    with tempfile.TemporaryDirectory(prefix="jobs-doctor-") as home:
        own = {name: os.environ[name] for name in _KEPT if name in os.environ}
        process = await asyncio.create_subprocess_exec(
            program,
            "--version",
            env={**own, "HOME": home, "CLAUDE_CONFIG_DIR": home},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            said, _none = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    found = said.decode(errors="replace").split(" ")[0].strip()
    if process.returncode or not found:
        return fail(f"{program} does not start (exit status {process.returncode})", "install the requirements again")
    pinned = pinned_cli_version()
    if found != pinned:
        todo = "unset JOBS_CLAUDE_CLI, or name one of that version"
        return warn(f"the Claude Code CLI is {found}, and {pinned} is what is tested", todo)
    return ok(f"the Claude Code CLI {found} starts")


def pinned_cli_version() -> str:
    """Of the CLI that comes with claude-agent-sdk; read, for an import takes 30 MiB."""
    spec = importlib.util.find_spec("claude_agent_sdk")
    assert spec, "find_cli has looked"
    assert spec.origin
    text = Path(spec.origin).with_name("_cli_version.py").read_text(encoding="utf-8")
    return text.partition('__cli_version__ = "')[2].partition('"')[0]


async def credentials(place: Place) -> Finding:
    """Does the provider of the model answer, with the credentials that are set?"""
    settings = SessionSettings.read()
    if not settings.has_credentials:
        running = place.folder.running()
        served = "the simulator answers" if running and running.model == "simulator" else "agents' jobs are not run"
        return skipped(f"neither ANTHROPIC_API_KEY nor CLAUDE_CODE_OAUTH_TOKEN is set: {served}")
    if why := await refused():
        return fail_by(why)
    return ok(f"{settings.model} answers, at {settings.shown_url}")


async def workspaces(place: Place) -> Finding:
    """Can agents' folders be made?"""
    root = workspaces_of(place.settings)
    if not root.exists():
        above = next(folder for folder in root.absolute().parents if folder.exists())
        if not (above.is_dir() and os.access(above, os.W_OK)):
            return fail(
                f"{root} cannot be made: {above} is no folder that can be written to",
                "set JOBS_WORKSPACES to another folder",
            )
        return ok(f"{root} will be made with the first agent's folder")
    try_workspaces(root)
    return ok(f"{root} can be written")


def workspaces_of(settings: CliSettings) -> Path:
    """Where agents have their folders."""
    return AssistantSettings.read().workspaces or settings.data / "workspaces"


def try_workspaces(root: Path) -> None:
    """Make a folder there as an agent would get one, and remove it. Raises ConfigurationError."""
    made = Workspaces(root).folder("check", 0)
    made.rmdir()
    made.parent.rmdir()


async def disk(place: Place) -> Finding:
    """Is there room where the embedded Postgres lies?"""
    folder = place.folder.postgres
    if place.core.database_url or not folder.exists():
        return skipped("no embedded Postgres lies here")
    free = shutil.disk_usage(folder).free
    if free < place.bounds.free_bytes:
        return fail(f"{free // _MIB:,} MiB are free where {folder} lies: full, nothing is taken", "make room there")
    return ok(f"{free // _MIB:,} MiB are free where Postgres lies")


async def voice(_: Place) -> Finding:
    """Can voice messages be transcribed, where that is wanted?"""
    settings = VoiceSettings.read()
    if not settings.voice_model:
        return skipped("JOBS_VOICE_MODEL names no model: voice messages are taken, and not transcribed")
    why = _lacks_model(Path(settings.voice_model)) or missing(settings)
    if why:
        return fail(f"voice messages are not transcribed: {why}", "./jobs voice says how to set it up")
    return ok(f"voice messages are transcribed by {settings.voice_model}")


def _lacks_model(model: Path) -> str | None:
    """What is wrong with a folder that is to hold a model; None: nothing, or it is the name of one that is fetched."""
    is_folder = model.is_absolute() or model.exists()
    return f"{model} holds no model (model.bin)" if is_folder and not (model / "model.bin").is_file() else None
