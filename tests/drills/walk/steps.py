"""Rules of steps: what a run has recorded, and the children it has created, for the runs after it."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import NoReturn, get_args

from jobs_core import AnyJob, Complete, InvalidInput, StepUnknown, Wait
from jobs_core.children import CHILDREN
from jobs_core.settle import settle
from jobs_core.steps import Policy, Waiting
from tests.drills.walk.known import Known, Step, must
from tests.drills.walk.new_jobs import HOUR, of_some_type, some_limits, stands_for
from tests.drills.walk.runs import a_run, asked_to_end, make_room
from tests.drills.walk.waits import settle_wait
from tests.drills.walk.walk import TYPES, NotNow, Walk, rule
from tests.support.database import Undone

CHILD_LANES = ("x", "y")
"""Of children, and nobody in these waits for its own: a parent waits for ever for a child that stands behind it in its lane."""


class Dead(BaseException):
    """A run's process died in the middle of a step."""


@rule(1.3)
async def take_a_step(walk: Walk) -> str:
    """Done once: what is recorded is not done again; what nobody knows is decided by its policy."""
    run, job = await a_run(walk)
    name = walk.unused(run, "s1", "s2")
    policy = _policy(walk)
    record, event = walk.model.steps.get((job.id, f"step:{name}")), f"step:{job.id}:{name}"
    unknown = record is not None and record.state == "started" and policy != "again"
    called = list[int]()

    def do() -> int:
        called.append(run.token)
        return run.token

    try:
        output = await run.step(name, do, on_unknown=policy)
    except StepUnknown:
        must(unknown and policy == "fail", f"job {job.id}: step {name} is not unknown")
        return f"job {job.id}, {name}: unknown"
    except Waiting as wait:
        must(unknown and policy == "ask" and event not in walk.model.events, f"job {job.id}: nobody need be asked")
        await settle_wait(walk, run, job, wait.outcome)
        return f"job {job.id}, {name}: asks"
    answer = walk.model.events.get(event) if unknown else None
    known = record.output if record and record.state == "done" else answer["output"] if answer else run.token
    must(not (unknown and policy == "fail"), f"job {job.id}: {name} is unknown, and was done again")
    must(output == known, f"job {job.id}: {name} is {output}, must be {known}")
    must(bool(called) is (output == run.token), f"job {job.id}: {name} was called {len(called)} times")
    if not record or record.state != "done":
        walk.model.steps[job.id, f"step:{name}"] = Step("done", run.token, known)
    return f"job {job.id}, {name}: {output}"


async def _new_step(walk: Walk) -> tuple[AnyJob, Known, str]:
    """A run, and a step that neither it nor one before it has begun."""
    run, job = await a_run(walk)
    name = walk.unused(run, "s1", "s2")
    if (job.id, f"step:{name}") in walk.model.steps:
        raise NotNow
    return run, job, name


@rule(1.3)
async def die_in_a_step(walk: Walk) -> str:
    """Nobody knows whether it was done."""
    run, job, name = await _new_step(walk)

    def die() -> NoReturn:
        raise Dead

    with suppress(Dead):
        await run.step(name, die, on_unknown="ask")
    walk.model.steps[job.id, f"step:{name}"] = Step("started", run.token)
    return f"job {job.id}, {name}"


@rule(1.3)
async def raise_in_a_step(walk: Walk) -> str:
    """It was not done, and that is known."""
    run, job, name = await _new_step(walk)
    policy = _policy(walk)

    def broken() -> NoReturn:
        raise Undone

    with suppress(Undone):
        await run.step(name, broken, on_unknown=policy)
    if policy != "again":
        walk.model.steps[job.id, f"step:{name}"] = Step("raised", run.token)
    return f"job {job.id}, {name}"


def _policy(walk: Walk) -> Policy:
    return walk.dice.choice(get_args(Policy))


@rule(1.3)
async def spawn(walk: Walk) -> str:
    """A child, once a name; one whose key is held, or who would stand behind its parent, is refused."""
    await make_room(walk)
    return await _spawn(walk, *await a_run(walk, asked_to_end(walk, 0.3)))


async def _spawn(walk: Walk, run: AnyJob, job: Known) -> str:
    name = walk.unused(run, "c1", "c2")
    lane = walk.pick(lane for lane in CHILD_LANES if lane != job.lane) if walk.chance(0.4) else None
    later, unique = walk.chance(0.1), "u0" if walk.chance(0.2) else None
    limits = some_limits(walk) if walk.chance(0.15) else {}
    child = replace(
        of_some_type(walk, lane, limits),
        later=later,
        unique_key=unique,
        unique_while="unfinished" if unique else None,
        at=HOUR if later else None,
    )
    place = (job.id, f"spawn:{name}")
    known, met = walk.model.steps.get(place), stands_for(walk, child)
    behind_its_parent = lane is not None and lane == job.lane
    try:
        child_id = await run.spawn(name, child.job())
    except InvalidInput:
        must(
            known is None and (met or behind_its_parent), f"job {job.id}: nothing keeps it from having a child {child}"
        )
        return f"job {job.id}, {name}: met {met}"
    must(not known or child_id == known.output, f"job {job.id}: {name} was spawned twice")
    if not known:
        must(met is None, f"S10: job {met} has the key of child {child_id}")
        must(not behind_its_parent, f"job {job.id} is ahead of its child {child_id} in lane {lane}")
        of_user = replace(child, user_id=child.user_id or job.user_id)  # its parent's, where it has none of its own
        walk.model.create(of_user.known(child_id, job.id), later=later)
        walk.model.steps[place] = Step("done", run.token, child_id)
    return f"job {job.id}, {name}: {child_id}"


async def _parent(walk: Walk, fits: Callable[[Known], object]) -> tuple[AnyJob, Known]:
    """A run that may wait for its children; where none that fits has any, one spawns a child."""
    if not any(job.lane not in CHILD_LANES and fits(job) for _, job in walk.current()):
        await make_room(walk)
        run, job = await a_run(walk, lambda job: job.lane not in CHILD_LANES and not job.gives_up)
        walk.tell(await _spawn(walk, run, job))
    return walk.run(lambda job: job.lane not in CHILD_LANES and fits(job))


@rule(1.3)
async def wait_for_children(walk: Walk) -> str:
    """Not before the last has ended; then it learns how each did."""
    run, job = await _parent(walk, lambda job: _spawned(walk, job))
    try:
        ends = await run.wait_for_children()
    except Waiting as wait:
        must(walk.model.children(job.id), f"job {job.id}: no child of it lives, and it would wait")
        await settle_wait(walk, run, job, wait.outcome)
        return f"job {job.id}: it waits"
    wanted = [(child, walk.model.ended[child].state) for child in sorted(_spawned(walk, job))]
    must([(end.id, end.state) for end in ends] == wanted, f"job {job.id}: its children are {wanted}, not {ends}")
    return f"job {job.id}: {wanted}"


@rule(1.4)
async def a_child_ends_while_its_parent_begins_to_wait(walk: Walk) -> str:
    """The two at once: by its own run, or cancelled where nobody holds it. With another child left the parent waits on."""
    run, parent = await _parent(walk, lambda job: not job.gives_up and walk.model.children(job.id))
    child = walk.pick(walk.model.children(parent.id))
    others = [other for other, job in walk.current() if job is child]

    async def end() -> None:
        async with walk.jobs.database.connection() as conn:
            await settle(conn, others[0], Complete(), TYPES[child.job_type])

    begins = settle(walk.conn, run, Wait(CHILDREN), TYPES[run.job_type])
    await asyncio.gather(begins, end() if others else walk.jobs.cancel(child.id))
    if others:
        walk.model.end(child, "complete")
    else:
        walk.model.cancel(child.id)
    walk.model.wait(parent, CHILDREN, timed=False)
    return f"job {parent.id}, child {child.id} {child.state}"


def _spawned(walk: Walk, job: Known) -> list[int]:
    return [
        int(step.output)
        for (job_id, name), step in walk.model.steps.items()
        if job_id == job.id and name.startswith("spawn:")
    ]
