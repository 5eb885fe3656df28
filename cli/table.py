"""Which job types this program knows and which code runs them: the one place where types and handlers meet.

To add a job type: write `handlers/yours.py` with a `register(table)`, as `handlers/hello.py` has, and name it below.
"""

import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from assistant.arrivals import FETCH_MEDIA
from assistant.chats import CHAT_TURN
from assistant.deliveries import DELIVER
from assistant.scheduled_turns import SCHEDULED_TURN
from assistant.transcription import TRANSCRIBE
from jobs_core import ConfigurationError, HandlerTable

if TYPE_CHECKING:
    from jobs_core import Database
    from sessions import ClaudeSessions
    from sessions.model_run import Wake

HANDLERS = ("handlers.hello", "handlers.tell", "handlers.report_end")


def build_table(more: str = "") -> HandlerTable:
    """All job types, and the handlers that need nothing but their job; those of agents are bound by the worker.

    `more` is JOBS_HANDLERS: modules from elsewhere, found where Python looks and in the current directory.
    Raises ConfigurationError naming the module that cannot be used.
    """
    table = HandlerTable()
    table.declare_all([CHAT_TURN, DELIVER, TRANSCRIBE, FETCH_MEDIA, SCHEDULED_TURN])
    for name in HANDLERS:
        importlib.import_module(name).register(table)
    for name in filter(None, more.split(",")):
        _register(name, table)
    return table


def bind_agents(
    more: str, table: HandlerTable, *, database: "Database", sessions: "ClaudeSessions", wake: "Wake"
) -> None:
    """Bind the handlers that ask agents, of modules with a `register_agents(table, database=, sessions=)`, in a worker.

    They heed budgets and the provider's pauses by themselves. wake: the worker's notifier. Raises ConfigurationError naming the
    module that cannot be used.
    """
    from assistant.owner_alarms import TELL_OWNER
    from sessions.agent_handlers import heed_provider

    bound = set(table.runnable)
    for name in (*HANDLERS, *filter(None, more.split(","))):
        module = sys.modules[name]  # `build_table` has imported it
        if bind := getattr(module, "register_agents", None):
            with _naming(name):
                bind(table, database=database, sessions=sessions)
    for job_type in filter(table.is_async, set(table.runnable) - bound):
        heed_provider(table, job_type, database=database, alarms=TELL_OWNER, wake=wake)


def bind_senders(more: str, table: HandlerTable, *, database: "Database") -> Sequence[str]:
    """Bind `deliver`, in a worker, to the sender of webhooks and those of modules with a `register_senders(senders)`.

    Returns the queues to serve. Raises ConfigurationError naming the module that cannot be used.
    """
    from assistant.senders import Senders
    from gateways.webhooks import egress
    from gateways.webhooks.settings import CallbackSettings
    from handlers import deliver

    senders = Senders()
    egress.register(senders, database=database, settings=CallbackSettings.read())
    for name in (*HANDLERS, *filter(None, more.split(","))):
        if bind := getattr(sys.modules[name], "register_senders", None):
            with _naming(name):
                bind(senders)
    deliver.register(table, database=database, senders=senders)
    return senders.queues


def _register(name: str, table: HandlerTable) -> None:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)  # last, so that nothing there stands in for a module of ours
    with _naming(name):
        importlib.import_module(name).register(table)


@contextmanager
def _naming(name: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise ConfigurationError(
            f"JOBS_HANDLERS: {name} cannot be used ({type(error).__name__}: {error}): "
            "see that it can be imported and has a register(table)"
        ) from error
