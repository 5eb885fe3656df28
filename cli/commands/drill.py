"""`./jobs drill`: a fault drill, with exactly the arguments given."""

import os
import sys
from typing import Annotated

import typer

from cli.commands.test import PASSED_ON


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(context_settings=PASSED_ON, epilog="Example: ./jobs drill kill --short")(drill)


def drill(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Which drill, for example kill; a name that is none lists them")],
) -> None:
    """Inject faults under load and check what happened; prints figures and exits 0 only if nothing was lost or doubled."""
    from cli.settings import CHECKOUT

    os.chdir(CHECKOUT)
    arguments = [sys.executable, "-m", "tests.drills", name, *context.args]
    os.execv(sys.executable, arguments)  # noqa: S606 - no shell is wanted
