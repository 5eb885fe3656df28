"""The cap: what is spent passes it by less than what one answer costs, however many calls a run makes side by side (P10)."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessions import BudgetExhausted, RunAccount, TurnFailed, Usage
from sessions.model_proxy import run as run_module
from sessions.model_proxy.refusal import Refused
from sessions.model_proxy.request import Asked
from sessions.model_proxy.run import ProxyRun
from sessions.prices import GUESS
from sessions.usage import OpenCall

MODEL = "claude-haiku-4-5"


def a_run(cap_usd: str | None = None, **account: object) -> ProxyRun:
    cap = None if cap_usd is None else Decimal(cap_usd)
    return ProxyRun(RunAccount(uuid4(), 1, cap, **account), uuid4(), 1, ledger=None)  # type: ignore[arg-type]  # as given


def asks(usd: Decimal | int) -> Asked:
    """A request that costs so much at most: all of it output, of a model of the dearest kind."""
    return Asked("unknown", stream=True, likely_input_tokens=0, most_input_tokens=0, max_tokens=tokens(usd))


def tokens(usd: Decimal | int) -> int:
    return int(usd * 1_000_000 / GUESS.output)


def cost(usd: Decimal | int) -> Usage:
    return Usage(calls=1, cost_usd=Decimal(usd))


Calls = Sequence[tuple[int, float]]
"""The most that each call can cost, and which share of that it does."""


async def overshoot(cap: int, calls: Calls, order: Sequence[int]) -> tuple[Decimal, Decimal]:
    """All calls asked for at once and ended in an order: by how much the cap was passed, and what the dearest call cost."""
    run = a_run(str(cap))
    asked = [asks(most) for most, _ in calls]
    waiting = {n: asyncio.create_task(run.begin(one)) for n, one in enumerate(asked)}
    open_calls, costs = dict[int, OpenCall](), list[Decimal]()
    while True:
        for _ in range(3):  # whoever was let go on goes on
            await asyncio.sleep(0)
        for n in [n for n, task in waiting.items() if task.done()]:
            task = waiting.pop(n)
            if not task.exception():
                open_calls[n] = task.result()
        if not open_calls:
            break
        n = sorted(open_calls)[order[len(costs) % len(order)] % len(open_calls)]
        costs.append(asked[n].most_usd * Decimal(calls[n][1]))
        run.end(open_calls.pop(n), cost(costs[-1]))
    assert not waiting, "a call waits though none is open"
    return sum(costs) - Decimal(cap), max(costs)


CALLS = st.lists(st.tuples(st.integers(1, 50), st.sampled_from([0.0, 0.3, 1.0])), min_size=1, max_size=8)


@given(st.integers(1, 60), CALLS, st.lists(st.integers(0, 7), min_size=1, max_size=8))
def test_parallel_calls_pass_the_cap_by_less_than_one_answer(cap: int, calls: Calls, order: list[int]) -> None:
    over, dearest = asyncio.run(overshoot(cap, calls, order))
    assert over < dearest or over <= 0


def test_without_the_rule_parallel_calls_pass_it_by_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant: what is spent is looked at, what is under way is not."""
    monkeypatch.setattr(run_module, "sorted", lambda _: [], raising=False)
    over, dearest = asyncio.run(overshoot(10, [(9, 1.0)] * 8, [0]))
    assert over > 5 * dearest


async def test_a_call_begins_whenever_something_is_left_and_none_once_nothing_is() -> None:
    run = a_run("1")
    run.end(await run.begin(asks(500)), cost(Decimal("0.99")))
    run.end(await run.begin(asks(500)), cost(3))
    with pytest.raises(Refused) as refused:
        await run.begin(asks(1))
    assert refused.value.status == 403
    assert isinstance(run.refused, BudgetExhausted)
    assert (run.refused.spent_usd, run.refused.cap_usd) == (Decimal("3.99"), Decimal(1))


async def test_a_second_call_waits_where_both_could_pass_the_cap_and_goes_on_when_the_first_was_cheap() -> None:
    run = a_run("10")
    first = await run.begin(asks(50))
    second = asyncio.create_task(run.begin(asks(50)))
    await asyncio.sleep(0)
    assert not second.done()
    run.end(first, cost(1))
    run.end(await second, cost(1))
    assert run.used.cost_usd == 2


async def test_without_a_cap_calls_begin_at_once() -> None:
    run = a_run()
    for _ in range(5):
        await run.begin(asks(1_000_000))


async def test_a_model_that_is_not_allowed_is_refused_and_the_run_knows_why() -> None:
    run = a_run(models={MODEL})
    run.check(MODEL)
    with pytest.raises(Refused):
        run.check("claude-opus-5")
    assert isinstance(run.refused, TurnFailed)


async def test_a_run_that_is_over_begins_no_call_that_was_on_its_way() -> None:
    run = a_run()
    run.check(MODEL)
    await run.close()
    with pytest.raises(Refused) as refused:
        run.check(MODEL)
    assert refused.value.status == 401
    assert run.refused is None
