"""`./jobs doctor`: looks at everything an installation stands on, says what is wrong and what to do, and mends what is safe."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import Data, Json

if TYPE_CHECKING:
    from cli.doctor.check import Finding
    from cli.doctor.checkup import Findings

EXIT_FAILED = 1
_MARKS = {"ok": "ok", "warn": "WARN", "fail": "FAIL", "skipped": "-"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: ./jobs doctor --only lanes --fix")(doctor)


def doctor(
    fix: Annotated[bool, typer.Option("--fix", help="Mend what can be; asks before what cannot be undone")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --fix: do also that, and do not ask")] = False,
    only: Annotated[list[str] | None, typer.Option("--only", metavar="CHECK", help="This one; repeat for more")] = None,
    as_json: Json = False,
    data: Data = None,
) -> int:
    """Check what this installation stands on; exit 1 if something fails. Nothing is changed without --fix.

    One small call is made to the model's API, where there are credentials.
    """
    import asyncio

    from cli.doctor.checks import CHECKS
    from cli.doctor.checkup import check_up, mend
    from cli.doctor.place import Place
    from cli.printing import note, print_json
    from cli.settings import CliSettings
    from jobs_core.log import set_up_logs
    from jobs_core.settings import CoreSettings

    known = [check.name for check in CHECKS]
    for name in only or []:
        if name not in known:
            raise typer.BadParameter(f"{name!r} is no check; they are {', '.join(known)}")
    if yes and not fix:
        raise typer.BadParameter("--yes goes with --fix")
    set_up_logs(CoreSettings.read())
    place = Place(CliSettings.read(data=data))

    found = asyncio.run(check_up(place, CHECKS, only or ()))
    if fix:
        mends = [finding.mend for finding in found.values() if finding.mend]
        may = [one for one in mends if yes or not one.asks or _asked(one.what)]
        found = asyncio.run(mend(place, found, may.__contains__, note))
    if as_json:
        print_json({"state": _worst(found), "checks": [_as_json(check.name, one) for check, one in found.items()]})
    else:
        for check, finding in found.items():
            _print(check.name, finding)
    return EXIT_FAILED if _worst(found) == "fail" else 0


def _asked(what: str) -> bool:
    """A person's word; without a terminal nobody gives it."""
    return sys.stdin.isatty() and typer.confirm(f"{what[0].upper()}{what[1:]}?", err=True)


def _worst(found: "Findings") -> str:
    states = {finding.state for finding in found.values()}
    return next((state for state in ("fail", "warn") if state in states), "ok")


def _as_json(name: str, finding: "Finding") -> dict[str, str | bool]:
    return {
        "name": name,
        "state": finding.state,
        "text": finding.text,
        "todo": finding.todo,
        "fixable": finding.mend is not None,
    }


def _print(name: str, finding: "Finding") -> None:
    from cli.printing import line, print_plain

    print_plain(f"{_MARKS[finding.state]:<5}{name:<13}{line(finding.text)}")
    if finding.todo:
        print_plain(f"{'':<18}▸ {line(finding.todo)}" + (" (--fix does it)" if finding.mend else ""))
