"""`transcribe`: makes text of a voice message. Queue `media`, limit `transcribe`. Created by who takes the message in.

    the clip's bytes ─▶ a process of its own (whisper.py) ─▶ progress, line by line ─▶ text, language, seconds

It does nothing to the world, so that it may be repeated. The work is in a process because it is minutes of CPU in native code,
which a thread could not be stopped in: a cancel, a drain or a lost lease kills it, and a worker that dies has it killed by its
guard. It decodes what strangers sent, so it gets no secret in its environment.

Where transcription is not set up, the job completes and says so: a voice message is taken all the same.
"""

import asyncio
import importlib.util
import json
import os
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any

import structlog

from assistant import media
from assistant.errors import FileGone
from assistant.settings import VoiceSettings
from assistant.transcription import TRANSCRIBE, TranscribeInput, TranscribeResult
from jobs_core import Complete, Database, HandlerTable, Job, Outcome, Retry, gate

log = structlog.get_logger()

PROGRAM = (sys.executable, "-P", str(Path(__file__).with_name("whisper.py")))
MAX_TEXT_CHARS = 50_000
"""An hour of quick speech."""
HOW_TO_SET_UP = "./jobs voice says how to set it up"
_GONE = "the clip is not kept any more"
_PASSED_ON = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS")
_PASSED_ON_PREFIXES = ("HF_", "XDG_")
"""Where models lie. A token of a hub, HF_TOKEN, is the one secret among them, and is left out."""


class TranscriberBroke(Exception):
    """The process ended without a word about the clip: another try may do."""


def register(table: HandlerTable, *, database: Database, settings: VoiceSettings) -> None:
    """Bind the handler to its type."""
    table.register_handler(TRANSCRIBE, Transcriptions(database, settings).run)


def missing(settings: VoiceSettings) -> str | None:
    """What transcription lacks here; None: it is set up."""
    if not settings.voice_model:
        return "JOBS_VOICE_MODEL names no model"
    if importlib.util.find_spec("faster_whisper") is None:
        return "faster-whisper is not installed (requirements-voice.txt)"
    return None


class Transcriptions:
    """The handler of `transcribe` jobs. program: what hears a clip, for tests."""

    def __init__(self, database: Database, settings: VoiceSettings, program: Sequence[str] = ()) -> None:
        self._database = database
        self._settings = settings
        self._program = program

    async def run(self, job: Job[TranscribeInput]) -> Outcome:
        """Hear a clip."""
        if not self._program and (why := missing(self._settings)):
            log.warning("voice.not_set_up", missing=why, meaning=HOW_TO_SET_UP)
            return Complete(TranscribeResult(status="not_set_up", why=f"{why}; {HOW_TO_SET_UP}"))
        async with self._database.connection() as conn:
            found = await media.find(conn, [job.input.file_id])
        if not found or found[0].state != "here":
            return Complete(TranscribeResult(status="refused", why=_GONE))
        pieces = media.pieces(self._database, found[0])
        try:
            async with aclosing(hear(pieces, self._settings, self._program or PROGRAM)) as lines:
                return Complete(await heard(lines, job.progress))
        except FileGone:
            return Complete(TranscribeResult(status="refused", why=_GONE))
        except TranscriberBroke as error:
            log.warning("voice.not_heard", error=str(error))
            return Retry(str(error))


async def heard(lines: AsyncIterator[dict[str, Any]], progress: Callable[[dict[str, Any]], object]) -> TranscribeResult:
    """What the lines of `hear` come to; `progress` is told of each how far it is. Raises TranscriberBroke."""
    text, clip = list[str](), dict[str, Any]()
    async for line in lines:
        match line:
            case {"refused": str(why)}:
                return TranscribeResult(status="refused", why=why)
            case {"seconds": float(), "language": str()}:
                clip = line
                progress({"done_s": 0.0, "of_s": clip["seconds"]})
            case {"done_s": float(done_s), "text": str(said)}:
                text.append(said)
                of_s = clip.get("seconds", done_s)
                progress({"done_s": min(done_s, of_s), "of_s": of_s})  # the last piece ends in full seconds
            case _:
                raise TranscriberBroke("the process that transcribes said what is no line of it")
    spoken = gate.clean_text("".join(text).strip(), max_chars=MAX_TEXT_CHARS)
    return TranscribeResult(
        status="transcribed", text=spoken, language=clip.get("language"), seconds=clip.get("seconds")
    )


async def hear(
    pieces: AsyncIterator[bytes], settings: VoiceSettings, program: Sequence[str] = PROGRAM
) -> AsyncGenerator[dict[str, Any], None]:
    """What the program says of a clip, line by line, until its end. Closing it kills the program. Raises TranscriberBroke."""
    process = await asyncio.create_subprocess_exec(
        *program,
        json.dumps(_given(settings)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=_environment(),
        start_new_session=True,  # or a Ctrl-C at the terminal would end it before the drain does
    )
    try:
        await _send(process, pieces)
        async for line in _lines(process):
            if "end" in line:
                return
            yield line
        raise TranscriberBroke(f"the process that transcribes ended with {await process.wait()} before its clip did")
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _send(process: asyncio.subprocess.Process, pieces: AsyncIterator[bytes]) -> None:
    assert process.stdin is not None
    with suppress(BrokenPipeError, ConnectionResetError):  # it has ended: what it said, or its code, tells why
        async for piece in pieces:
            process.stdin.write(piece)
            await process.stdin.drain()
        process.stdin.close()
        await process.stdin.wait_closed()


async def _lines(process: asyncio.subprocess.Process) -> AsyncIterator[dict[str, Any]]:
    assert process.stdout is not None
    try:
        async for raw in process.stdout:
            line = dict(json.loads(raw))
            if "failed" in line:
                raise TranscriberBroke(str(line["failed"]))
            yield line
    except (ValueError, TypeError) as error:  # no JSON, no object, or a line without an end
        raise TranscriberBroke("the process that transcribes said what is no line of it") from error


def _given(settings: VoiceSettings) -> dict[str, Any]:
    return {
        "model": settings.voice_model,
        "is_folder": Path(settings.voice_model).is_dir(),
        "device": settings.voice_device,
        "compute_type": settings.voice_compute_type,
        "language": settings.voice_language or None,
        "longest_s": settings.voice_longest_s,
    }


def _environment() -> dict[str, str]:
    return {
        name: value
        for name, value in os.environ.items()
        if name in _PASSED_ON or (name.startswith(_PASSED_ON_PREFIXES) and "TOKEN" not in name)
    }
