"""`./jobs chat`: a message through the queue, and its answer."""

from pathlib import Path
from typing import Annotated, Any

import typer

from cli.options import Data, Json


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog='Example: ./jobs chat "hello", then ./jobs chat "and then?" --session ID')(chat)


def chat(
    message: Annotated[str, typer.Argument(help="What to say; - reads stdin")],
    session: Annotated[str | None, typer.Option(help="Go on with this session [default: a new one]")] = None,
    user: Annotated[
        str | None, typer.Option(help="Say it for this person, in a chat of theirs; by id [default: the owner]")
    ] = None,
    url: Annotated[str | None, typer.Option(help="The web API [default: JOBS_URL, or the ./jobs up that runs]")] = None,
    file: Annotated[
        list[Path] | None, typer.Option(help="A picture, a PDF or a text to say it with; repeat for more")
    ] = None,
    timeout: Annotated[str, typer.Option(help="Wait so long for the answer: 30s, 5m, 1h")] = "10m",
    as_json: Json = False,
    data: Data = None,
) -> int:
    """Say something to the agent and show its answer. The message is safe in the queue even if you stop waiting."""
    from cli.chat import ask
    from cli.durations import parse_duration
    from cli.settings import CliSettings

    said = _with_files(read_message(message, session, user), file or [])
    timeout_s = parse_duration(timeout, option="--timeout").total_seconds()
    settings = CliSettings.read(data=data, url=url)
    return ask(settings, said, session, user=user, timeout_s=timeout_s, as_json=as_json)


def read_message(message: str, *ids: str | None) -> str:
    """What an argument says, or stdin. Raises CommandFailed where it, or one of the ids, is no text."""
    import sys

    from cli.errors import CommandFailed

    try:
        said = sys.stdin.read() if message == "-" else message
        "".join([said, *filter(None, ids)]).encode()  # what of an argument is not UTF-8 stands in it as lone surrogates
    except UnicodeError:
        raise CommandFailed("the message, --session or --user is not UTF-8 text: convert it with iconv") from None
    return said


def _with_files(said: str, files: list[Path]) -> str | list[dict[str, Any]]:
    """The message as the API takes it: files first, as people attach them and then write."""
    from assistant.content import MAX_FILE_BYTES, TYPES, file_block
    from cli.errors import CommandFailed

    blocks = list[dict[str, Any]]()
    for file in files:
        with file.open("rb") as opened:
            content = opened.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            raise CommandFailed(f"{file} has more than {MAX_FILE_BYTES} bytes: make it smaller")
        block = file_block(content, file.name if file.name.isprintable() else None)
        if block is None:
            raise CommandFailed(f"{file} is none of {', '.join(TYPES)}: convert it, or say what is in it")
        blocks.append(block)
    return [*blocks, {"type": "text", "text": said}] if blocks else said
