"""`./jobs test`: the tests, with exactly the arguments given."""

import os
import sys

import typer

PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(context_settings=PASSED_ON, epilog="Example: ./jobs test tests/unit -k retry")(test)


def test(context: typer.Context) -> None:
    """Run pytest in the checkout with the arguments given; its exit status is passed on."""
    from cli.settings import CHECKOUT

    os.chdir(CHECKOUT)
    os.execv(sys.executable, [sys.executable, "-m", "pytest", *context.args])  # noqa: S606 - no shell is wanted
