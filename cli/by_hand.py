"""How a process of an installation is run by itself, as the scheduler and the Telegram door are: `up` begins them otherwise."""

import asyncio
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from cli.database import choose_database, require_usable
from cli.metrics import counting
from cli.settings import CliSettings
from jobs_core.log import set_up_logs
from jobs_core.settings import CoreSettings

Process = Callable[[str, CliSettings], Coroutine[Any, Any, None]]
"""Goes on until a signal; is given DATABASE_URL."""


def run_by_hand(process: Process, data: Path | None, *, as_json: bool) -> None:
    """Run it on the database of the `./jobs up` that runs, or of DATABASE_URL, and serve what it counts."""
    if as_json:
        os.environ["JOBS_LOG_FORMAT"] = "json"
    set_up_logs(CoreSettings.read())
    settings = CliSettings.read(data=data)
    database_url = choose_database(settings)
    asyncio.run(require_usable(database_url))
    with counting(settings):
        asyncio.run(process(database_url, settings))
