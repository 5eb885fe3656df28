"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

BIGGEST_ID = 2**63 - 1
JobId = Annotated[int, typer.Argument(metavar="ID", min=1, max=BIGGEST_ID, help="The job's id")]
SPAN_OR_TIME = "30s, 5m, 2h, 1d ago, or a time such as 2030-01-31T09:00Z"

Data = Annotated[
    Path | None, typer.Option("--data", help="Folder of ./jobs up [default: JOBS_DATA, or .jobs in the checkout]")
]
Json = Annotated[bool, typer.Option("--json", help="Machine output: one JSON value on stdout")]
JsonLogs = Annotated[bool, typer.Option("--json", help="Machine output: logs as one JSON value a line, on stderr")]
Limit = Annotated[int, typer.Option(min=1, max=1000, help="At most so many")]
Before = Annotated[int | None, typer.Option(min=1, max=BIGGEST_ID, help="Only those older than this id: the next page")]
Title = Annotated[str | None, typer.Option(help="What the chat is called")]
Queues = Annotated[
    list[str] | None, typer.Option("--queue", help="Serve this queue; repeat for more [default: all known]")
]
Slots = Annotated[int | None, typer.Option(help="Jobs that one process runs at once [default: JOBS_SLOTS, or 10]")]
Processes = Annotated[int | None, typer.Option(help="Worker processes [default: JOBS_PROCESSES, or 2]")]
