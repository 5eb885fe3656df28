"""`./jobs voice`: whether voice messages can be transcribed here, how to set that up, and what is heard in a file."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import Json

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from assistant.settings import VoiceSettings
    from assistant.transcription import TranscribeResult

_File = Annotated[
    Path | None, typer.Argument(exists=True, dir_okay=False, help="Hear this file, and show what was said.")
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: JOBS_VOICE_MODEL=small ./jobs voice note.ogg")(voice)


def voice(file: _File = None, as_json: Json = False) -> int:
    """Say whether voice messages are transcribed by workers with these settings, and if not, how to set that up.

    With a file it is heard here, in the way that a worker does; no queue is asked.
    """
    import asyncio

    from assistant.settings import VoiceSettings
    from cli.errors import CommandFailed
    from cli.printing import print_json, print_plain
    from handlers.transcribe import TranscriberBroke, missing

    settings = VoiceSettings.read()
    lacks = missing(settings)
    if lacks or file is None:
        if as_json:
            print_json({"is_set_up": lacks is None, "missing": lacks, "model": settings.voice_model or None})
        elif lacks:
            print_plain(_how_to_set_up(lacks))
        else:
            print_plain(f"voice messages are transcribed: {settings.voice_model} on {settings.voice_device}")
        return 1 if lacks else 0
    try:
        result = asyncio.run(_heard(file.read_bytes(), settings))
    except TranscriberBroke as error:
        raise CommandFailed(f"{file} could not be transcribed: {error}") from None
    if as_json:
        print_json(result.model_dump(mode="json"))
    elif result.status == "transcribed":
        print_plain(f"{result.text}\n({result.language}, {result.seconds:g} s)")
    else:
        raise CommandFailed(f"{file} was not transcribed: {result.why}")
    return 0


async def _heard(content: bytes, settings: "VoiceSettings") -> "TranscribeResult":
    from contextlib import aclosing

    from handlers.transcribe import hear, heard

    async def clip() -> "AsyncIterator[bytes]":
        yield content

    async with aclosing(hear(clip(), settings)) as lines:
        return await heard(lines, lambda _: None)


def _how_to_set_up(lacks: str) -> str:
    here = Path(__file__).parents[2]
    return f"""\
voice messages are taken, and not transcribed: {lacks}. To set it up, on each host with workers:
1. install faster-whisper beside the program:
     {sys.executable} -m ensurepip
     {sys.executable} -m pip install --require-hashes -r {here / "requirements-voice.txt"}
2. name a model in JOBS_VOICE_MODEL: a folder that holds one (model.bin, config.json, tokenizer.json), or a name such as small
   or large-v3-turbo, which is fetched at first use
3. ./jobs voice FILE shows what it hears in a file; then start the workers anew"""
