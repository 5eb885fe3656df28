"""Job types that tests create."""

from pydantic import BaseModel, ConfigDict

from jobs_core import HandlerTable, JobType


class Note(BaseModel):
    """An input with something in it."""

    model_config = ConfigDict(extra="forbid")

    text: str = ""
    lane: str = ""


NOTE = JobType("note", Note)
BRIEF_NOTE = JobType("brief_note", Note, brief=True)
LANE_NOTE = JobType("lane_note", Note, lane=lambda note: note.lane)


def table() -> HandlerTable:
    """A table that knows these types, without code for them."""
    known = HandlerTable()
    known.declare_all([NOTE, BRIEF_NOTE, LANE_NOTE])
    return known
