"""`./jobs test`: all tests side by side, or pytest with exactly the arguments given."""

import os
import sys

import typer

# Three processes keep two cores busy, as tests wait half of their time; more cores take one more each, up to eight.
# loadfile: what a module's tests share is made once, and its drills do not run beside each other.
PROCESSES = min(8, (os.cpu_count() or 2) + 1)
EVERYTHING = ["-n", str(PROCESSES), "--dist", "loadfile", "--no-loadscope-reorder"]
PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(context_settings=PASSED_ON, epilog="Example: ./jobs test tests/unit -k retry")(test)


def test(context: typer.Context) -> None:
    """Run all tests, or pytest with exactly the arguments given, in the checkout; pytest's exit status is passed on."""
    from cli.settings import CHECKOUT

    os.chdir(CHECKOUT)
    os.execv(sys.executable, [sys.executable, "-m", "pytest", *(context.args or EVERYTHING)])  # noqa: S606 - no shell is wanted
