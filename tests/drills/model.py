"""R1: a model of the queue (tests/models/queue.pml), in all interleavings, and again with each of its guards taken out.

    queue.pml ─ spin -a ─▶ pan.c ─ cc ─▶ pan ─▶ every state there is ─▶ what was found: nothing, or a named wrong

As it is, nothing may be found. Without a guard exactly that must be found which the guard is there for.
"""

import argparse
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.drills.report import CannotRun, show_skipped

MODEL = Path(__file__).parents[1] / "models" / "queue.pml"
STUCK = "stuck"
"""What is found where nothing can go on, and not all has ended."""
NEVER = "never"
"""What is found where something that must come in the end never does."""
_DEPTH = 100_000
_MEMORY_MIB = 4_000
_AT_ONCE = 2
_FOUND = re.compile(
    r"^pan:\d+: (?:assertion violated +!\((\w+)\)|(invalid end state)|(acceptance cycle))", re.MULTILINE
)
_COUNTS = re.compile(r"depth reached (\d+), errors: \d+\s+(\S+) states, stored")
_CUT_SHORT = ("max search depth too small", "out of memory", "reached -DMEMLIM")


@dataclass(frozen=True, slots=True)
class Check:
    """`flags`: of queue.pml. `comes`: its formula that is checked; empty: what must never be, and that nothing gets stuck.
    `fair`: among schedules that let everybody go on who can. `found`: what must be found; empty: nothing. `big`: millions of
    states, stored in less memory (-DCOLLAPSE, which leaves none out)."""

    name: str
    flags: str
    comes: str = ""
    fair: bool = False
    found: str = ""
    big: bool = False

    def __str__(self) -> str:
        return f"{self.name}, {self.comes or 'safe'}"


@dataclass(frozen=True, slots=True)
class Seen:
    """`states` are those that differ; `depth` is the longest way; `whole`: each way was gone to its end."""

    found: str
    whole: bool
    states: int
    depth: int
    seconds: float

    def holds(self, check: Check) -> bool:
        """Whether it is what had to be seen."""
        return self.found == check.found and (self.whole or bool(check.found))


_LANES = "JOBS=3 LANE_JOBS=3 LATER=2 FAULTS=1"
_WAITS = "WAITER=0 FAULTS=1"
_CANCELS = "CANCEL FAULTS=1"
_POISON = "POISON=1 CANCEL FAULTS=1"
_TIRELESS = "TIRELESS=0 CANCEL NO_ROUND_IS_LOST"

SHORT = (
    *(
        Check(name, flags, comes)
        for name, flags in (("lanes", _LANES), ("waits", _WAITS), ("cancel", _CANCELS), ("poison", _POISON))
        for comes in ("", "all_end")
    ),
    Check("no lane", "LANE_JOBS=0 FAULTS=1"),
    Check("tireless", f"{_TIRELESS} FAULTS=1", "cancel_arrives", fair=True),
)

MUTANTS = (
    Check("no fence", "FAULTS=1 NO_FENCE", found="S3_write_of_a_lost_run"),
    Check("fence without its lock", "FAULTS=1 FENCE_WITHOUT_LOCK", found="S3_write_of_a_lost_run"),
    Check("no deadline of the worker's own", "FAULTS=1 NO_DEADLINE", found="S8_agent_of_a_lost_run"),
    Check("create by an old look", "CREATE_BY_AN_OLD_LOOK", found="S4_lane_out_of_order"),
    Check("lane's lock folded into the look", "LANE_LOCK_FOLDED", found="S11_stranded"),
    Check("no promotion", "NO_PROMOTION", found="S11_stranded"),
    Check("event's lock folded into the look", "WAITER=0 EVENT_LOCK_FOLDED", found="lost_wake_up"),
    Check("event set without compare", "WAITER=0 EVENT_WITHOUT_COMPARE", found="event_changed"),
    Check("cancel by an old look", "CANCEL CANCEL_BY_AN_OLD_LOOK", found="S6_effect_after_cancelled"),
    Check("no look for requests", f"{_TIRELESS} NO_LOOK_FOR_REQUESTS", "cancel_arrives", fair=True, found=NEVER),
    Check("no crash count", "POISON=1 NO_CRASH_COUNT", "all_end", found=NEVER),
    Check("no rescue", "FAULTS=1 NO_RESCUE", found=STUCK),
    Check("no full look", "JOBS=3 NO_FULL_LOOK", found=STUCK),
)

FULL = (
    *SHORT,
    Check("mixed", "JOBS=3 LATER=1 FAULTS=1"),
    Check("mixed", "JOBS=3 LATER=1 FAULTS=1", "all_end"),
    Check("lanes, two faults", "JOBS=3 LANE_JOBS=3 LATER=2 FAULTS=2", big=True),
    Check("waits, two faults", "WAITER=0 FAULTS=2", big=True),
    Check("cancel, two faults", "CANCEL FAULTS=2", big=True),
    Check("all at once", "WAITER=0 CANCEL FAULTS=1", big=True),
)


def look(check: Check, folder: Path) -> Seen:
    """Carry out the check in this empty folder. Raises CannotRun without spin or a C compiler."""
    spin, cc = shutil.which("spin"), shutil.which("cc")
    if not spin or not cc:
        raise CannotRun("needs spin and a C compiler (Debian, Ubuntu: apt install spin gcc libc6-dev)")
    flags = [f"-D{flag}" for flag in check.flags.split()]
    _run([spin, *flags, "-a", str(MODEL)], folder)
    of_claim = ["-DNFAIR=4"] if check.comes else ["-DSAFETY", "-DNOCLAIM"]
    effort = ["-O2", "-DCOLLAPSE"] if check.big else ["-O0" if check.found else "-O1"]
    _run([cc, *effort, "-w", f"-DMEMLIM={_MEMORY_MIB}", *of_claim, "-o", "pan", "pan.c"], folder)
    claim = ["-a", "-N", check.comes, *(["-f"] if check.fair else [])] if check.comes else []
    began = time.monotonic()
    said = _run([str(folder / "pan"), f"-m{_DEPTH}", *claim], folder)
    return _read(said, time.monotonic() - began)


def _run(command: Sequence[str], folder: Path) -> str:
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {ran.returncode}:\n{ran.stdout}{ran.stderr}")
    return ran.stdout + ran.stderr


def _read(said: str, seconds: float) -> Seen:
    counts, found = _COUNTS.search(said), _FOUND.search(said)
    if counts is None or ("errors: 0" not in said) != (found is not None):
        raise RuntimeError(f"pan said what nobody here understands:\n{said}")
    wrong, stuck, never = found.groups() if found else ("", "", "")
    whole = not found and not any(words in said for words in _CUT_SHORT)
    what = wrong or (STUCK if stuck else NEVER if never else "")
    return Seen(what, whole, int(float(counts[2])), int(counts[1]), round(seconds, 1))


def _look_and_tell(check: Check, folder: str) -> bool:
    seen = look(check, Path(tempfile.mkdtemp(dir=folder)))
    holds = seen.holds(check)
    verdict = ("HELD" if holds else "BROKEN") + (
        f": {seen.found}" if seen.found else "" if seen.whole else ": cut short"
    )
    print(f"{check!s:<48} {seen.states:>11,} states {seen.depth:>6,} deep {seen.seconds:>7} s  {verdict}", flush=True)
    return holds


def main(arguments: Sequence[str]) -> int:
    """`./jobs drill model [--short]`: 0 when nothing was found as it is, and each mutant's wrong without its guard."""
    parser = argparse.ArgumentParser(prog="./jobs drill model")
    parser.add_argument("--short", action="store_true", help="fewer faults and jobs: a minute, and less than 1 GB")
    checks = (*(SHORT if parser.parse_args(arguments).short else FULL), *MUTANTS)
    with tempfile.TemporaryDirectory(prefix="jobs-drill-") as folder, ThreadPoolExecutor(_AT_ONCE) as pool:
        try:
            held = list(pool.map(partial(_look_and_tell, folder=folder), checks))
        except CannotRun as why:
            return show_skipped(why)
    return 0 if all(held) else 1
