"""A check-up: every check in a time of its own, side by side where neither needs the other; and the mending of what was found.

check ─▶ needs one that failed? ─ yes ─▶ skipped
           └─ no ─▶ look, within its time ─▶ finding        a raise, or no answer in time, is a finding, too
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from cli.doctor.check import Check, Finding, Mend, fail, fail_by, skipped
from cli.doctor.place import Place
from cli.known_errors import one_line
from jobs_core import db

_AT_ONCE = 4
"""So many connections a check-up takes at most: the server may be short of them."""

Findings = dict[Check, Finding]


async def check_up(place: Place, checks: Sequence[Check], only: Sequence[str] = ()) -> Findings:
    """What each check found, in their order. only: those of these names, and what they need where that fails.

    It is told then, or all would seem well where nothing could be looked at; but it is not asked for, and so not mended.
    """
    found = Findings()
    turns = asyncio.Semaphore(_AT_ONCE)
    left = [check for check in checks if not only or check.name in _with_needed(checks, only)]
    while left:
        waiting_for = {check.name for check in left}
        now = [check for check in left if check.needs not in waiting_for]
        assert now, "two checks need each other"
        by_name = {check.name: finding for check, finding in found.items()}
        found.update(
            zip(now, await asyncio.gather(*(_one(check, place, by_name, turns) for check in now)), strict=True)
        )
        left = [check for check in left if check not in now]
    if only:
        found = {
            check: finding if check.name in only else replace(finding, mend=None)
            for check, finding in found.items()
            if check.name in only or finding.state == "fail"
        }
    return {check: found[check] for check in checks if check in found}


async def look_once(check: Check, place: Place) -> Finding:
    """What one check finds, whatever others did."""
    looking = asyncio.create_task(check.look(place), name=check.name)
    try:
        # Not asyncio.timeout: a cancelled statement on a connection that stalls comes back only 10 s later.
        await asyncio.wait({looking}, timeout=check.within_s)
        if not looking.done():
            return fail(f"it could not be told within {check.within_s:g} s", "see what is busy, and look again")
        return looking.result()
    except Exception as error:  # noqa: BLE001 - whatever a check stumbles over is what it has found
        return fail_by(one_line(error) or f"the check itself broke ({db.describe(error)})")
    finally:
        looking.cancel()


async def mend(
    place: Place, findings: Mapping[Check, Finding], may: Callable[[Mend], bool], say: Callable[[str], object]
) -> Findings:
    """Put right what can and may be, and look again there. say: is told what was done, and left alone."""
    after = dict(findings)
    for check, finding in findings.items():
        if finding.mend is None:
            continue
        if not may(finding.mend):
            say(f"{check.name}: left alone; it would {finding.mend.what}")
            continue
        try:
            say(f"{check.name}: {await finding.mend.do(place)}")
        except Exception as error:  # noqa: BLE001 - what cannot be mended must not keep from the rest
            say(f"{check.name}: could not {finding.mend.what}: {one_line(error) or db.describe(error)}")
        after[check] = await look_once(check, place)
    return after


async def _one(check: Check, place: Place, found: Mapping[str, Finding], turns: asyncio.Semaphore) -> Finding:
    needed = found.get(check.needs)
    if needed and needed.state in {"fail", "skipped"}:
        return skipped(f"{check.needs} is not ok")
    async with turns:
        return await look_once(check, place)


def _with_needed(checks: Sequence[Check], only: Sequence[str]) -> set[str]:
    needs = {check.name: check.needs for check in checks}
    wanted = set(only)
    for name in only:
        with suppress(KeyError):
            while name := needs[name]:
                wanted.add(name)
    return wanted
