"""`./jobs drill`: a fault drill, with exactly the arguments given."""

import os
import sys

import typer

from cli.commands.test import PASSED_ON


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(context_settings=PASSED_ON, add_help_option=False)(drill)  # --help is the drill's own to answer


def drill(context: typer.Context) -> None:
    """Inject faults under load and check what happened: without a name it lists the drills; NAME --help tells options."""
    from cli.settings import CHECKOUT

    os.chdir(CHECKOUT)
    arguments = [sys.executable, "-m", "tests.drills", *context.args]
    os.execv(sys.executable, arguments)  # noqa: S606 - no shell is wanted
