"""Which job types this program knows and which code runs them: the one place where types and handlers meet.

To add a job type: write `handlers/yours.py` with a `register(table)`, as `handlers/hello.py` has, and name it below.
"""

import importlib
import sys
from pathlib import Path

from assistant.chats import CHAT_TURN
from jobs_core import ConfigurationError, HandlerTable

HANDLERS = ("handlers.hello",)


def build_table(more: str = "") -> HandlerTable:
    """All job types, and the handlers that need nothing but their job; those of agents are bound by the worker.

    `more` is JOBS_HANDLERS: modules from elsewhere, found where Python looks and in the current directory.
    Raises ConfigurationError naming the module that cannot be used.
    """
    table = HandlerTable()
    table.declare(CHAT_TURN)
    for name in HANDLERS:
        importlib.import_module(name).register(table)
    for name in filter(None, more.split(",")):
        _register(name, table)
    return table


def _register(name: str, table: HandlerTable) -> None:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)  # last, so that nothing there stands in for a module of ours
    try:
        importlib.import_module(name).register(table)
    except Exception as error:
        raise ConfigurationError(
            f"JOBS_HANDLERS: {name} cannot be used ({type(error).__name__}: {error}): "
            "see that it can be imported and has a register(table)"
        ) from error
