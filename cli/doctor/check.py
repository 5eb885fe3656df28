"""What a check is, and what it finds."""

import re
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from cli.doctor.place import Place

_SHOWN = 3

State = Literal["ok", "warn", "fail", "skipped"]


@dataclass(frozen=True, slots=True)
class Mend:
    """How something wrong can be put right. what: what would be done. do: does it, and says in one sentence what was done.

    asks: it cannot be undone, or ends what others do: not without a person's word.
    """

    what: str
    do: "Callable[[Place], Coroutine[Any, Any, str]]"
    asks: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found, in one sentence. todo: what to do about it, where it is not ok. mend: what --fix does about it."""

    state: State
    text: str
    todo: str = ""
    mend: Mend | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """One check. look: a function that looks and changes nothing; what it raises is a `fail`.

    needs: the check without whose `ok` or `warn` this one has nothing to look at. within_s: what it may take.
    """

    name: str
    look: "Callable[[Place], Coroutine[Any, Any, Finding]]"
    needs: str = ""
    within_s: float = 10.0


def ok(text: str) -> Finding:
    """All is well."""
    return Finding("ok", text)


def warn(text: str, todo: str, mend: Mend | None = None) -> Finding:
    """It works, and something is weaker than it should be."""
    return Finding("warn", text, todo, mend)


def fail(text: str, todo: str, mend: Mend | None = None) -> Finding:
    """Something does not work, or a promise does not hold."""
    return Finding("fail", text, todo, mend)


def skipped(why: str) -> Finding:
    """There is nothing here to check."""
    return Finding("skipped", why)


def fail_by(error: str) -> Finding:
    """An error's text, which says at its end what to do."""
    parts = re.fullmatch(r"(.+)(?:[:;.] )(.+?)\.?", error, re.DOTALL)
    return fail(parts[1], parts[2]) if parts else fail(error, "see that, and look again")


def n_of(n: int, what: str) -> str:
    """`1 lane`, `2 lanes`."""
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def listed(names: Sequence[str], n: int | None = None) -> str:
    """The first three of them, and how many more; n: of how many, where not all are given."""
    more = (len(names) if n is None else n) - len(names[:_SHOWN])
    return ", ".join(names[:_SHOWN]) + (f" and {more:,} more" if more else "")
