"""`hello`: the README's first handler. Queue `default`, no lane. Created by hand, with `./jobs create hello`.

It does nothing to the world, so that it may be repeated.
"""

from pydantic import BaseModel, ConfigDict

from jobs_core import Complete, HandlerTable, Job, JobType


class Hello(BaseModel):
    """Whom to greet."""

    model_config = ConfigDict(extra="forbid")

    name: str


class Greeting(BaseModel):
    """What was said."""

    text: str


HELLO = JobType("hello", Hello, Greeting)


async def greet(job: Job[Hello]) -> Complete:
    """Greet."""
    return Complete(Greeting(text=f"Hello, {job.input.name}!"))


def register(table: HandlerTable) -> None:
    """Bind the handler to its type."""
    table.register_handler(HELLO, greet)
