"""The commands, by name, and how each ends: 0, 1 with one line on stderr, or 2 for wrong usage.

A known error is one line `jobs: <what happened, to what, what to do>`; anything else is a defect and shows its traceback.
"""

import os
import sys

import typer

from cli.commands import (
    agent,
    approvals,
    bench,
    budget,
    callback,
    cancel,
    chat,
    create,
    deliveries,
    doctor,
    drill,
    emit,
    explain,
    health,
    hook,
    lane,
    limit,
    look,
    migrate,
    notifications,
    pauses,
    provider,
    prune,
    redrive,
    role,
    scale,
    schedule,
    scheduler,
    session,
    setup,
    task,
    telegram,
    test,
    token,
    up,
    usage,
    user,
    voice,
    watch,
    web,
    worker,
)
from cli.count_files import make_room
from cli.known_errors import one_line
from cli.saved import HAS_READ, use_saved

EXIT_FAILED, EXIT_USAGE, EXIT_STOPPED = 1, 2, 130
_WITHOUT_SAVED = {"test", "drill", "bench"}
"""They fill databases, and the one that is saved is somebody's."""

app = typer.Typer(
    name="jobs",
    help="Durable background work for Claude agents, on nothing but Postgres.",
    epilog='Example: ./jobs up, and in another terminal: ./jobs chat "hello"',
    add_completion=False,
    pretty_exceptions_enable=False,
)
up.register(app)
setup.register(app)
doctor.register(app)
chat.register(app)
agent.register(app)
user.register(app)
session.register(app)
task.register(app)
schedule.register(app)
deliveries.register(app)
voice.register(app)
hook.register(app)
callback.register(app)
notifications.register(app)
token.register(app)
create.register(app)
look.register(app)
cancel.register(app)
approvals.register(app)
emit.register(app)
explain.register(app)
redrive.register(app)
prune.register(app)
limit.register(app)
lane.register(app)
budget.register(app)
provider.register(app)
watch.register(app)
pauses.register(app)
usage.register(app)
worker.register(app)
scale.register(app)
telegram.register(app)
scheduler.register(app)
web.register(app)
health.register(app)
migrate.register(app)
role.register(app)
test.register(app)
drill.register(app)
bench.register(app)


def main() -> int:
    """Run the command that the process' arguments name; returns its exit status."""
    try:
        if {*sys.argv[1:2]} & _WITHOUT_SAVED:
            os.environ[HAS_READ] = "1"  # for what they start, too
        use_saved(sys.argv[1:])
        make_room()
        _choose_schema()
        # It sees to Ctrl-C (130) and to a reader of our output that has gone (1) by itself.
        ended_with = typer.main.get_command(app).main(
            sys.argv[1:] or ["--help"], prog_name="./jobs", standalone_mode=False
        )
    except typer.TyperException as error:
        return _say(f"{error.format_message().rstrip('.')}: see ./jobs --help, or ./jobs COMMAND --help", EXIT_USAGE)
    except typer.Abort:  # Ctrl-C, or the end of stdin, where something was asked for
        return EXIT_STOPPED
    except Exception as error:
        line = one_line(error)
        if line is None:
            raise
        return _say(line, EXIT_FAILED)
    return ended_with if isinstance(ended_with, int) else 0


def _choose_schema() -> None:
    """Before the first statement is read; where it is not asked for, nothing heavy is imported for it."""
    if os.environ.get("JOBS_SCHEMA"):
        from jobs_core.settings import CoreSettings
        from jobs_core.statements import use_schema

        use_schema(CoreSettings.read().schema_name)


def _say(line: str, status: int) -> int:
    sys.stderr.write(f"jobs: {line}\n")
    return status
