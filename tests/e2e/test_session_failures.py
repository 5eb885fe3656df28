"""What a provider's failure becomes, how silence ends, and what the trial call at start-up says."""

import asyncio
import itertools
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from jobs_core import ConfigurationError, Database
from sessions import (
    AgentBroke,
    CredentialsRefused,
    ModelUnavailable,
    PromptRefused,
    RateLimited,
    SessionsError,
    TurnFailed,
    conversation,
    probe,
    runner,
)
from sessions.resume import TurnState, classify
from simulator.client import SimulatorControl
from tests.support.sessions import KEY, Chat, agents, said, session_settings

GREETS_ONLY = """#!/bin/sh
read line
id=$(printf %s "$line" | sed 's/.*"request_id": *"\\([^"]*\\)".*/\\1/')
printf '{"type":"control_response","response":{"subtype":"success","request_id":"%s","response":{}}}\\n' "$id"
sleep 600
"""
NOWHERE = "http://127.0.0.1:9"  # the discard port: nobody listens


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ("[[error 429 x-should-retry=false]]", RateLimited),
        ("[[error 529]]", ModelUnavailable),
        ("[[error 403]]", CredentialsRefused),
        ("[[error 400 Your credit balance is too low to access the Anthropic API.]]", CredentialsRefused),
        ("[[error 404 model: unknown]]", TurnFailed),
        ("[[error 400 messages.0: no]]", PromptRefused),
    ],
)
async def test_a_provider_s_failure_is_an_error_to_branch_on_and_the_turn_goes_on_when_it_has_passed(
    chat: Chat, sim: SimulatorControl, tmp_path: Path, script: str, error: type[SessionsError]
) -> None:
    await sim.script(script)
    turn_id = await chat.new_turn()
    async with agents(chat.database, sim, tmp_path) as sessions:
        with pytest.raises(error) as caught:
            await chat.run(sessions, turn_id, "[[text Answered.]]")
        assert type(caught.value) is error
        await sim.reset()
        end = await chat.run(sessions, turn_id, "[[text Answered.]]")
    assert (end.answer, end.source) == ("Answered.", "resumed")
    (request,) = await sim.requests()
    assert [text.rstrip("\n") for text in said(request.body, "user")].count("[[text Answered.]]") == 1


async def test_a_refused_key_stops_after_two_retries(chat: Chat, sim: SimulatorControl, tmp_path: Path) -> None:
    async with agents(chat.database, sim, tmp_path, ANTHROPIC_API_KEY="sk-wrong") as sessions:
        with pytest.raises(CredentialsRefused, match="check ANTHROPIC_API_KEY"):
            await chat.ask(sessions, "Hello.")
    assert 1 <= len(await sim.requests()) <= 3


@pytest.mark.parametrize("script", ["[[stall]]", "[[text Ans]] [[stall]]"])
async def test_a_turn_that_falls_silent_is_started_again_once(
    chat: Chat, sim: SimulatorControl, tmp_path: Path, script: str
) -> None:
    prompt = "[[text Answered.]]"
    await sim.script(script, times=1)
    async with agents(chat.database, sim, tmp_path, silence_s=1.0) as sessions:
        end = await chat.ask(sessions, prompt)
    assert (end.answer, end.source) == ("Answered.", "resumed")
    first, second = await sim.requests()
    assert (first.outcome, second.outcome) == ("cut", "finished")
    assert [text.rstrip("\n") for text in said(second.body, "user")].count(prompt) == 1


async def test_a_turn_that_stays_silent_is_the_queue_s_to_retry(
    chat: Chat, sim: SimulatorControl, tmp_path: Path
) -> None:
    async with agents(chat.database, sim, tmp_path, silence_s=1.0) as sessions:
        with pytest.raises(ModelUnavailable, match=r"broke twice .* said nothing for 1 s"):
            await chat.ask(sessions, "[[text Ans]] [[stall]]")
    assert len(await sim.requests()) == 2


async def test_a_cli_that_never_says_a_first_message_is_ended_and_the_transcript_asked_again(
    chat: Chat, sim: SimulatorControl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real one, told to go on with a turn that is finished: it waits for ever."""
    turn_id = await chat.new_turn()
    wrong = iter([TurnState("interrupted")])
    async with agents(chat.database, sim, tmp_path) as sessions:
        await chat.run(sessions, turn_id, "[[text Answered.]]")
        monkeypatch.setattr(runner, "classify", lambda *given: next(wrong, None) or classify(*given))
        monkeypatch.setattr(conversation, "FIRST_MESSAGE_S", 5.0)
        with capture_logs() as logs:
            end = await chat.run(sessions, turn_id, "[[text Answered.]]")
    assert (end.answer, end.source) == ("Answered.", "recorded")
    assert [(entry["event"], entry["reason"]) for entry in logs] == [("cli.broke", "said nothing for 5 s")]
    assert len(await sim.requests()) == 1


@pytest.mark.parametrize("size", [10, 200_000])
async def test_a_cli_that_starts_and_then_does_nothing_is_ended(
    chat: Chat, sim: SimulatorControl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """A pipe holds 64 KiB: a longer prompt waits for a reader."""
    cli = tmp_path / "cli"
    cli.write_text(GREETS_ONLY)
    cli.chmod(0o755)
    monkeypatch.setattr(conversation, "FIRST_MESSAGE_S", 3.0)
    reason = "said nothing for 3 s" if size < 2**16 else "did not take the prompt in 3 s"
    async with agents(chat.database, sim, tmp_path, claude_cli=cli) as sessions:
        with pytest.raises(AgentBroke, match=f"broke twice .* {reason}"):
            await chat.ask(sessions, "x" * size)


async def test_a_cli_that_cannot_work_says_why(chat: Chat, sim: SimulatorControl, tmp_path: Path) -> None:
    cli = tmp_path / "cli"
    cli.write_text("#!/bin/sh\necho 'no such luck' >&2\nexit 3\n")
    cli.chmod(0o755)
    async with agents(chat.database, sim, tmp_path, claude_cli=cli) as sessions:
        with pytest.raises(AgentBroke, match="no such luck"):
            await chat.ask(sessions, "Hello.")
    with pytest.raises(ConfigurationError, match="no such luck"):
        await probe(session_settings(sim, tmp_path, claude_cli=cli))


async def test_no_more_clis_start_at_once_than_the_settings_say(
    database: Database, sim: SimulatorControl, tmp_path: Path
) -> None:
    log, cli = tmp_path / "log", tmp_path / "cli"
    cli.write_text(f"#!/bin/sh\necho 1 >> {log}\nsleep 0.2\necho -1 >> {log}\nexit 3\n")
    cli.chmod(0o755)
    chats = [await Chat(database).begin() for _ in range(4)]
    async with agents(database, sim, tmp_path, claude_cli=cli, cli_starts_at_once=2) as sessions:
        ends = await asyncio.gather(*(chat.ask(sessions, "Hello.") for chat in chats), return_exceptions=True)
    assert [type(end) for end in ends] == [AgentBroke] * 4
    at_once = list(itertools.accumulate(int(line) for line in log.read_text().split()))
    assert len(at_once) == 16
    assert max(at_once) <= 2


@pytest.mark.parametrize("credentials", [{}, {"ANTHROPIC_API_KEY": "", "CLAUDE_CODE_OAUTH_TOKEN": KEY}])
async def test_a_trial_call_with_a_key_or_a_token_passes(
    sim: SimulatorControl, tmp_path: Path, credentials: dict[str, str]
) -> None:
    await probe(session_settings(sim, tmp_path, **credentials))
    assert len(await sim.requests()) == 1


@pytest.mark.parametrize(
    ("changes", "script", "line"),
    [
        ({"ANTHROPIC_API_KEY": "sk-wrong"}, "", "refused our credentials.*check ANTHROPIC_API_KEY"),
        (
            {},
            "[[error 400 Your credit balance is too low to access the Anthropic API.]]",
            "[Cc]redit balance is too low",
        ),
        ({"model": "no-such-model"}, "[[error 404 model: no-such-model]]", "does not know the model 'no-such-model'"),
        ({"ANTHROPIC_BASE_URL": NOWHERE}, "", "http://127.0.0.1:9 cannot be reached"),
        ({"claude_cli": Path("/nowhere/claude")}, "", "/nowhere/claude is missing or not executable"),
    ],
)
async def test_a_trial_call_that_cannot_work_says_why_in_one_line(
    sim: SimulatorControl, tmp_path: Path, changes: dict[str, str], script: str, line: str
) -> None:
    if script:
        await sim.script(script)
    with pytest.raises(ConfigurationError, match=line) as caught:
        await probe(session_settings(sim, tmp_path, **changes))
    assert "\n" not in str(caught.value)


async def test_a_trial_call_to_a_busy_provider_passes(sim: SimulatorControl, tmp_path: Path) -> None:
    await sim.script("[[error 529]]")
    await probe(session_settings(sim, tmp_path))
