"""The simulator as a process: how it begins, how it ends, and real connections that are cut."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import simulator
from simulator.client import SimulatorControl

ROOT = Path(__file__).parents[2]
HEADERS = {"x-api-key": "k", "anthropic-version": "2023-06-01"}
END_S = 6.0  # ending takes 0.2 s; with an answer held it would be for ever


@pytest.fixture(scope="module")
def sim() -> Iterator[SimulatorControl]:
    with simulator.running() as running:
        yield running


@pytest.fixture(autouse=True)
async def _fresh(sim: SimulatorControl) -> None:
    await sim.reset()


async def ask(url: str, prompt: str) -> httpx.Response:
    message = {"role": "user", "content": prompt}
    body = {"model": "claude-x", "max_tokens": 9, "stream": True, "messages": [message]}
    async with httpx.AsyncClient(base_url=url, headers=HEADERS, trust_env=False) as client:
        return await client.post("/v1/messages", json=body)


def start(*arguments: str, **environment: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "simulator", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def url_of(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout
    return str(json.loads(process.stdout.readline())["url"])


async def hold_an_answer(url: str) -> asyncio.Task[httpx.Response]:
    asking = asyncio.create_task(ask(url, "[[hold]]"))
    await SimulatorControl(url, "token").wait_for_request(holding="default")
    return asking


def waiting_caller(url: str) -> socket.socket:
    """Return a connection over which the server was asked to wait for a request that never comes."""
    caller = socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])))
    caller.sendall(b"GET /control/requests/wait?match=never HTTP/1.1\r\nhost: x\r\nauthorization: Bearer token\r\n\r\n")
    return caller


@pytest.mark.parametrize("prompt", ["[[reset]]", "[[text half]] [[reset]]"])
async def test_a_connection_is_reset_before_or_within_the_answer(sim: SimulatorControl, prompt: str) -> None:
    with pytest.raises(httpx.ReadError) as failure:
        await ask(sim.url, prompt)
    causes = [failure.value.__cause__, failure.value.__context__]
    while causes and not isinstance(causes[-1], ConnectionResetError):
        last = causes.pop()
        causes += [cause for cause in (last.__cause__, last.__context__) if cause] if last else []
    assert causes, "the connection was closed, not reset"
    assert (await sim.wait_for_request(outcome="reset")).prompt == prompt


async def test_a_caller_that_goes_away_is_recorded_as_cut(sim: SimulatorControl) -> None:
    asking = asyncio.create_task(ask(sim.url, "[[text half]] [[hold]]"))
    held = await sim.wait_for_request(holding="default")
    asking.cancel()
    assert (await sim.wait_for_request(outcome="cut")).number == held.number


async def test_a_caller_that_stops_within_its_body_does_no_harm(sim: SimulatorControl) -> None:
    port = int(sim.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as caller:
        caller.sendall(b"POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: k\r\ncontent-length: 100\r\n\r\n{")
        await sim.wait_for_request(outcome="open")
    assert (await sim.wait_for_request(outcome="failed")).body is None


async def test_events_are_spread_over_time_and_stalls_last(sim: SimulatorControl) -> None:
    """Seven events at 20 ms and a stall of 200 ms: never sooner, whatever the load."""
    clock = asyncio.get_running_loop()
    began = clock.time()
    await ask(sim.url, "[[slow 20ms]] [[text Hello.]] [[stall 200ms]]")
    assert clock.time() - began > 0.33


async def test_a_refused_control_call_says_why(sim: SimulatorControl) -> None:
    with pytest.raises(simulator.ControlError, match="an error is written"):
        await sim.script("[[error x]]")
    with pytest.raises(simulator.ControlError, match="control token"):
        await SimulatorControl(sim.url, "wrong").reset()
    with pytest.raises(simulator.ControlError, match=r"no such request within 0\.01 s"):
        await sim.wait_for_request("never", timeout_s=0.01)


async def test_an_api_key_given_at_start_is_the_only_one_taken() -> None:
    with simulator.running(api_key="other") as locked:
        assert (await ask(locked.url, "hi")).status_code == 401
        assert [request.status for request in await locked.requests()] == [401]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_at_once_though_an_answer_is_held(number: signal.Signals) -> None:
    with start("--port", "0", SIMULATOR_CONTROL_TOKEN="token") as process:
        url = url_of(process)
        asking = await hold_an_answer(url)
        with waiting_caller(url):
            await SimulatorControl(url, "token").requests()  # answered after the wait was taken in
            process.send_signal(number)
            _, complaints = await asyncio.to_thread(process.communicate, timeout=END_S)
        assert (process.returncode, complaints) == (0, b"")
        with pytest.raises(httpx.HTTPError):
            await asking


async def test_it_ends_with_its_stdin_though_an_answer_is_held() -> None:
    with start("--exit-with-stdin", SIMULATOR_CONTROL_TOKEN="token") as process:
        asking = await hold_an_answer(url_of(process))
        _, complaints = await asyncio.to_thread(process.communicate, timeout=END_S)
        assert (process.returncode, complaints) == (0, b"")
        with pytest.raises(httpx.HTTPError):
            await asking


async def test_without_that_flag_it_outlives_its_stdin() -> None:
    with start(SIMULATOR_CONTROL_TOKEN="token") as process:
        url = url_of(process)
        assert process.stdin
        process.stdin.close()
        assert (await ask(url, "hi")).status_code == 200
        process.terminate()
        assert process.wait(END_S) == 0


def test_a_taken_port_is_one_line_and_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with start("--port", port) as process:
            _, complaints = process.communicate(timeout=30)
    assert process.returncode == 1
    assert complaints.decode() == (
        f"simulator: cannot serve on 127.0.0.1:{port}: Address already in use; pick another --port\n"
    )
