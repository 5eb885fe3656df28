"""The real Claude Code CLI against the simulator; what the model saw is read from the recorded bodies."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from claude_agent_sdk import ClaudeAgentOptions, ClaudeSDKClient, ResultMessage, StreamEvent

import simulator
from simulator.client import SimulatorControl

Messages = list[dict[str, Any]]


@pytest.fixture(scope="module")
def running() -> Iterator[SimulatorControl]:
    with simulator.running(api_key="simulated") as control:
        yield control


@pytest.fixture
async def sim(running: SimulatorControl) -> SimulatorControl:
    await running.reset()
    return running


@asynccontextmanager
async def claude(sim: SimulatorControl, folder: Path, *tools: str, **options: Any) -> AsyncIterator[ClaudeSDKClient]:
    environment = {
        "ANTHROPIC_BASE_URL": sim.url,
        "ANTHROPIC_API_KEY": "simulated",
        "CLAUDE_CONFIG_DIR": str(folder / "config"),
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "CLAUDE_CODE_MAX_RETRIES": "0",
        **options.pop("env", {}),
    }
    settings = ClaudeAgentOptions(
        setting_sources=[],
        strict_mcp_config=True,
        tools=list(tools),
        allowed_tools=list(tools),
        verbatim_prompts=True,
        cwd=folder,
        env=environment,
        **options,
    )
    async with ClaudeSDKClient(settings) as client:
        yield client


async def result(client: ClaudeSDKClient) -> ResultMessage:
    messages = [message async for message in client.receive_response()]
    assert isinstance(messages[-1], ResultMessage)
    return messages[-1]


async def turn(client: ClaudeSDKClient, prompt: str) -> ResultMessage:
    await client.query(prompt)
    return await result(client)


async def seen(sim: SimulatorControl) -> list[Messages]:
    """What the model saw, request by request: the CLI's own reminders and system messages left out."""
    bodies = [request.body for request in await sim.requests()]
    return [[own for message in body["messages"] if (own := without_notes(message))] for body in bodies if body]


def without_notes(message: dict[str, Any]) -> dict[str, Any] | None:
    content = message["content"]
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    kept = [
        {name: value for name, value in block.items() if name != "cache_control"}
        for block in blocks
        if not block.get("text", "").startswith("<system-reminder>")
    ]
    return {"role": message["role"], "content": kept} if kept and message["role"] != "system" else None


def said(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "content": [{"type": "text", "text": text}]}


async def test_a_plain_turn_is_answered(sim: SimulatorControl, tmp_path: Path) -> None:
    async with claude(sim, tmp_path) as client:
        answer = await turn(client, "hello")
    assert (answer.result, answer.is_error) == (
        "This is the simulator, no model was asked. Your message 1 here: “hello”",
        False,
    )
    assert await seen(sim) == [[said("user", "hello")]]
    [request] = await sim.requests()
    assert (request.prompt, request.outcome, request.status) == ("hello", "finished", 200)
    assert "simulated" not in request.headers.values()


async def test_a_second_turn_goes_on_with_the_first(sim: SimulatorControl, tmp_path: Path) -> None:
    async with claude(sim, tmp_path) as client:
        await turn(client, "[[text Noted.]] I like tea")
        answer = await turn(client, "What did I say first?")
    assert answer.result
    assert "I like tea" in answer.result
    first = said("user", "[[text Noted.]] I like tea")
    assert await seen(sim) == [[first], [first, said("assistant", "Noted."), said("user", "What did I say first?")]]


async def test_tools_that_the_prompt_scripts_are_run(sim: SimulatorControl, tmp_path: Path) -> None:
    script = (
        '[[think Two files.]] [[text Writing.]] [[tool Bash {"command": "echo one > a; echo [[a]]"}]]'
        '[[tool Bash {"command": "echo two"}]] [[then]] [[text Done.]]'
    )
    async with claude(sim, tmp_path, "Bash") as client:
        answer = await turn(client, script)
    assert (answer.result, answer.num_turns) == ("Done.", 3)
    assert (tmp_path / "a").read_text() == "one\n"
    _, [prompt, called, results] = await seen(sim)
    assert prompt == said("user", script)
    assert [block["type"] for block in called["content"]] == ["thinking", "text", "tool_use", "tool_use"]
    calls = [block["id"] for block in called["content"][2:]]
    assert [(block["tool_use_id"], block["content"]) for block in results["content"]] == [
        (calls[0], "[[a]]"),
        (calls[1], "two"),
    ]


async def test_an_overloaded_answer_reaches_the_caller_and_the_next_turn_works(
    sim: SimulatorControl, tmp_path: Path
) -> None:
    async with claude(sim, tmp_path) as client:
        failed = await turn(client, "[[error 529]]")
        answer = await turn(client, "[[text Back.]]")
    assert (failed.is_error, failed.api_error_status) == (True, 529)
    assert answer.result == "Back."
    assert [request.status for request in await sim.requests()] == [529, 200]


async def test_failures_queued_by_a_test_are_retried_by_the_cli(sim: SimulatorControl, tmp_path: Path) -> None:
    await sim.script("[[error 529]] [[then]] [[reset]]", times=1)
    async with claude(sim, tmp_path, env={"CLAUDE_CODE_MAX_RETRIES": "3"}) as client:
        answer = await turn(client, "[[text Through.]]")
    assert answer.result == "Through."
    assert [request.outcome for request in await sim.requests()] == ["failed", "reset", "finished"]


async def test_a_wrong_key_is_refused(sim: SimulatorControl, tmp_path: Path) -> None:
    async with claude(sim, tmp_path, env={"ANTHROPIC_API_KEY": "wrong"}) as client:
        answer = await turn(client, "hello")
    assert (answer.is_error, answer.api_error_status) == (True, 401)


async def test_the_world_stops_before_the_answer_and_within_it(sim: SimulatorControl, tmp_path: Path) -> None:
    async with claude(sim, tmp_path, include_partial_messages=True) as client:
        await client.query("[[hold before]] [[text Half an ]] [[hold within]] [[text answer.]]")
        before = await sim.wait_for_request(holding="before")
        await sim.release("before")
        within = await sim.wait_for_request(holding="within")
        texts = await streamed_until(client, "Half an ")
        await sim.release("within")
        answer = await result(client)
    assert within.number == before.number
    assert texts == ["Half an "]
    assert answer.result == "Half an answer."


async def streamed_until(client: ClaudeSDKClient, text: str) -> list[str]:
    """Return the texts of the stream up to `text`, which must be on it before the hold is released."""
    texts: list[str] = []
    async for message in client.receive_messages():
        if isinstance(message, StreamEvent) and message.event["type"] == "content_block_delta":
            texts.append(message.event["delta"]["text"])
            if texts[-1] == text:
                break
    return texts


async def test_a_tool_runs_while_the_end_of_its_message_is_held(sim: SimulatorControl, tmp_path: Path) -> None:
    """The tool signals by a request of its own: the held message is still open when the tool has run."""
    told = f"curl -s -H 'x-api-key: simulated' {sim.url}/v1/messages -d tool"
    script = f'[[tool Bash {{"command": "{told} | head -c 16"}}]] [[hold end]] [[then]] [[text Done.]]'
    async with claude(sim, tmp_path, "Bash") as client:
        await client.query(script)
        held = await sim.wait_for_request(holding="end")
        ran = await sim.wait_for_request(after=held.number, outcome="failed")
        assert (ran.status, ran.body) == (400, None)
        assert [request.number for request in await sim.requests(holding="end")] == [held.number]
        await sim.release("end")
        answer = await result(client)
    assert answer.result == "Done."


async def test_an_interrupt_cuts_the_answer_and_the_next_turn_is_not_of_its_script(
    sim: SimulatorControl, tmp_path: Path
) -> None:
    async with claude(sim, tmp_path) as client:
        await client.query("[[text Half]] [[stall]] [[then]] [[text never]]")
        request = await sim.wait_for_request("Half")
        await client.interrupt()
        await result(client)
        cut = await sim.wait_for_request(outcome="cut")
        answer = await turn(client, "[[text Next.]]")
    assert cut.number == request.number
    assert answer.result == "Next."


async def test_a_resumed_session_gets_the_response_that_is_due(sim: SimulatorControl, tmp_path: Path) -> None:
    """A second CLI process goes on where the first was lost: the script is at its second response."""
    script = '[[tool Bash {"command": "echo once"}]] [[then]] [[hold gate]] [[text Done.]]'
    async with claude(sim, tmp_path, "Bash", session_id="6f0c2d2e-5d7c-4f43-9d0a-3f5f1a1c9b11") as lost:
        await lost.query(script)
        first = await sim.wait_for_request(holding="gate")
    cut = await sim.wait_for_request(outcome="cut")
    assert (cut.number, cut.round) == (first.number, 1)
    await sim.release("gate")
    resuming = {"CLAUDE_CODE_RESUME_INTERRUPTED_TURN": "1", "CLAUDE_CODE_RESUME_SHOWS_CUT_OFF_CALLS": "1"}
    async with claude(sim, tmp_path, "Bash", resume="6f0c2d2e-5d7c-4f43-9d0a-3f5f1a1c9b11", env=resuming) as resumed:
        answer = await result(resumed)
    assert answer.result == "Done."
    last = (await sim.requests())[-1]
    assert (last.prompt, last.round) == (script, 1)
