"""Results of a given form, pictures and documents, through the real CLI."""

from pathlib import Path
from typing import Any

import pytest

from assistant.content import Spoken, blocks_of, read_content
from sessions import TurnFailed
from simulator.client import SimulatorControl
from tests.support.pictures import PDF, PNG
from tests.support.sessions import Chat, agents
from tests.unit.test_content import block

SCHEMA = {"type": "object", "properties": {"colour": {"type": "string"}}, "required": ["colour"]}


async def test_a_result_is_given_by_its_form_and_is_not_paid_twice(
    chat: Chat, sim: SimulatorControl, tmp_path: Path
) -> None:
    """What does not fit the schema goes back to the model, inside the turn."""
    prompt = '[[tool StructuredOutput {"colour": 7}]] [[then]] [[tool StructuredOutput {"colour": "green"}]]'
    async with agents(chat.database, sim, tmp_path) as sessions:
        turn_id = await chat.new_turn()
        asked = await chat.run(sessions, turn_id, prompt, result_schema=SCHEMA)
        paid = len(await sim.requests())
        recorded = await chat.run(sessions, turn_id, prompt, result_schema=SCHEMA)
    assert (asked.structured, asked.answer, asked.source) == ({"colour": "green"}, '{"colour": "green"}', "asked")
    assert (recorded.structured, recorded.source, len(await sim.requests())) == (asked.structured, "recorded", paid)


async def test_words_where_a_result_was_asked_for_are_a_failure_each_time(
    chat: Chat, sim: SimulatorControl, tmp_path: Path
) -> None:
    """The CLI asks once more, and then calls the words a success."""
    await sim.script("[[text It is green.]]", times=4)
    async with agents(chat.database, sim, tmp_path) as sessions:
        turn_id = await chat.new_turn()
        for _ in range(2):
            with pytest.raises(TurnFailed, match="in words"):
                await chat.run(sessions, turn_id, "Which colour?", result_schema=SCHEMA)


async def test_a_result_that_never_fits_its_form_is_a_failure_that_says_so(
    chat: Chat, sim: SimulatorControl, tmp_path: Path
) -> None:
    never = '[[tool StructuredOutput {"colour": 7}]] [[then]] ' * 8 + "[[text No.]]"
    async with agents(chat.database, sim, tmp_path) as sessions:
        with pytest.raises(TurnFailed, match="structured"):
            await chat.ask(sessions, never, result_schema=SCHEMA)


async def test_pictures_and_documents_reach_the_model_where_they_were_said(
    chat: Chat, sim: SimulatorControl, tmp_path: Path
) -> None:
    said = read_content(
        ["Look:", block(PNG, "image/png"), "and", block(PDF, "application/pdf", "document", title="a.pdf")]
    )
    async with agents(chat.database, sim, tmp_path) as sessions:
        await chat.ask(sessions, blocks_of([said, Spoken("[[text Seen.]]")]))
    body: Any = (await sim.requests())[-1].body
    shown = [part for message in body["messages"] for part in message["content"]]
    kinds = [
        part["type"] for part in shown if not str(part.get("text", "")).startswith(("<system-reminder>", "[Image"))
    ]
    assert kinds == ["text", "image", "text", "document", "text"]
    assert next(part for part in shown if part["type"] == "image")["source"] == block(PNG, "image/png")["source"]
