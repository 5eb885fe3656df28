"""What a history says about the turn: the prompt, the round, what is new. Notes of the CLI are no prompts."""

from typing import Any

import pytest

from simulator import conversation, demo, usage


def user(*texts: str) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "text", "text": words} for words in texts]}


def assistant(words: str = "ok") -> dict[str, Any]:
    return {**user(words), "role": "assistant"}


def result(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": content}]}


def test_the_last_text_a_person_wrote_is_the_prompt() -> None:
    said = conversation.read([user("<system-reminder>x", "one"), assistant(), user("two", "three\n")])
    assert said.prompts == ("one", "two", "three\n")
    assert said.prompt == "three\n"
    assert said.round == 0


def test_answers_since_the_prompt_are_the_round() -> None:
    history = [user("one"), assistant(), user("two"), assistant(), result("a"), assistant(), assistant(), result("b")]
    assert conversation.read(history).round == 2


def test_a_system_message_inside_an_answer_does_not_make_it_two() -> None:
    history = [user("one"), assistant(), {"role": "system", "content": "x"}, assistant(), result("a")]
    assert conversation.read(history).round == 1


@pytest.mark.parametrize(
    "note",
    [
        "<system-reminder>the date</system-reminder>",
        "Continue from where you left off.",
        "[Request interrupted by user]",
        "[Request interrupted by user for tool use]",
        "Output token limit hit. Resume directly",
        "[Your previous response had no visible output. Please continue and produce a user-visible response.]",
    ],
)
def test_a_note_of_the_cli_does_not_begin_a_turn(note: str) -> None:
    resumed = [user("go"), assistant(), {"role": "user", "content": result("x")["content"] + user(note)["content"]}]
    said = conversation.read(resumed)
    assert (said.prompt, said.round) == ("go", 1)


def test_what_is_new_is_the_prompt_and_the_last_message() -> None:
    history = [user("old"), assistant(), user("go"), assistant(), result([{"type": "text", "text": "found"}])]
    said = conversation.read(history)
    assert said.asked == "go\nfound"
    assert said.tool_results == ("found",)


def test_what_is_not_text_in_a_result_is_named() -> None:
    assert conversation.read([user("go"), assistant(), result([{"type": "image"}])]).tool_results == ("[image]",)
    assert conversation.read([user("go"), assistant(), result(None)]).tool_results == ("",)


def test_the_demo_says_that_it_is_no_model_and_quotes_the_message() -> None:
    answer = demo.reply(conversation.read([user("one"), assistant(), user("two")]))
    assert answer == "This is the simulator, no model was asked. Your message 2 here: “two”"


def test_the_demo_knows_what_was_said_first() -> None:
    answer = demo.reply(conversation.read([user("I like tea"), assistant(), user("What did I say first?")]))
    assert "“I like tea”" in answer


def test_the_demo_quotes_what_a_tool_brought_and_not_all_of_a_long_text() -> None:
    answer = demo.reply(conversation.read([user("go"), assistant(), result("x" * 10_000)]))
    assert answer.startswith("This is the simulator, no model was asked. The tool answered: “xxx")
    assert len(answer) < 700


def test_the_demo_has_an_answer_to_a_message_without_text() -> None:
    picture = {"role": "user", "content": [{"type": "image", "source": {}}]}
    assert "no text" in demo.reply(conversation.read([picture]))


def test_input_grows_with_the_request_and_is_the_same_each_time() -> None:
    short = {"messages": [user("one")]}
    long = {"messages": [user("one"), assistant(), user("two")], "system": "You are terse."}
    assert usage.input_usage(short) == usage.input_usage(short)
    assert usage.input_usage(short)["input_tokens"] < usage.input_usage(long)["input_tokens"]


def test_a_marked_conversation_is_read_from_the_cache_up_to_its_last_answer() -> None:
    marked = user("two")
    marked["content"][0]["cache_control"] = {"type": "ephemeral"}
    first = usage.input_usage({"messages": [marked]})
    assert first["cache_read_input_tokens"] == 0
    assert first["cache_creation_input_tokens"] > 0
    second = usage.input_usage({"messages": [user("one" * 100), assistant(), marked]})
    assert second["cache_read_input_tokens"] > second["cache_creation_input_tokens"] > 0
