"""Which response is due, and what is held."""

import asyncio

import pytest

from simulator.conversation import Conversation
from simulator.director import Director
from simulator.errors import ScriptError
from simulator.script import Response, Text


def asked(prompt: str, rounds: int = 0) -> Conversation:
    return Conversation((prompt,), rounds, (), prompt)


def says(response: Response) -> str:
    [step] = response
    assert isinstance(step, Text)
    return step.text


def test_a_script_in_the_prompt_is_played_by_round_however_often_it_is_asked() -> None:
    director = Director()
    prompt = "[[text a]] [[then]] [[text b]]"
    assert [says(director.choose(asked(prompt, rounds))) for rounds in (0, 0, 1, 1, 0)] == ["a", "a", "b", "b", "a"]


def test_the_demo_answers_when_the_script_has_no_response_left() -> None:
    assert "simulator" in says(Director().choose(asked("[[text a]]", 1)))


def test_a_script_in_the_prompt_that_cannot_be_read_is_answered_with_why() -> None:
    assert "cannot be read: an error is written" in says(Director().choose(asked("[[error x]]")))


def test_a_counted_script_is_used_up_response_by_response() -> None:
    director = Director()
    assert director.add("[[text a]] [[then]] [[text b]]", "", 2) == 4
    assert [says(director.choose(asked("[[text own]]"))) for _ in range(5)] == ["a", "b", "a", "b", "own"]


def test_scripts_are_for_those_who_say_the_word() -> None:
    director = Director()
    director.add("[[text for tea]]", "tea", 1)
    assert says(director.choose(asked("[[text coffee]]"))) == "coffee"
    assert says(director.choose(asked("tea, please"))) == "for tea"


def test_a_standing_script_goes_by_round_until_reset() -> None:
    director = Director()
    assert director.add("[[text a]] [[then]] [[text b]]", "", None) == 0
    assert [says(director.choose(asked("[[text own]]", rounds))) for rounds in (0, 1, 0)] == ["a", "b", "a"]
    assert "simulator" in says(director.choose(asked("[[text own]]", 2)))
    director.reset()
    assert says(director.choose(asked("[[text own]]"))) == "own"


def test_counted_scripts_come_before_standing_ones_the_oldest_first() -> None:
    director = Director()
    director.add("[[text standing]]", "", None)
    director.add("[[text first]]", "", 1)
    director.add("[[text second]]", "", 1)
    assert [says(director.choose(asked("x"))) for _ in range(3)] == ["first", "second", "standing"]


@pytest.mark.parametrize("script", ["", "no directive", "[[error x]]"])
def test_a_script_that_says_nothing_is_refused(script: str) -> None:
    with pytest.raises(ScriptError):
        Director().add(script, "", 1)


async def test_a_hold_holds_until_it_is_released_and_then_stays_open() -> None:
    director = Director()
    held = asyncio.create_task(director.hold("a"))
    director.release("b")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not held.done()
    director.release("a")
    await held
    await director.hold("a")


async def test_a_reset_lets_go_of_what_is_held_and_closes_the_holds() -> None:
    director = Director()
    director.release("open")
    held = asyncio.create_task(director.hold("a"))
    await asyncio.sleep(0)
    director.reset()
    await held
    again = asyncio.create_task(director.hold("open"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not again.done()
    again.cancel()
