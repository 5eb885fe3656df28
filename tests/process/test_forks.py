"""A handler forks without exec: the child is a copy of its worker, and never acts as one."""

import errno
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]

WORKER = """
import asyncio, multiprocessing, os, signal, socket, sys, time
from jobs_core import Database, DatabaseUnusable, fetch_one
from workers.forks import keep_forks_apart

if "unguarded" not in sys.argv:
    keep_forks_apart()
worker = os.getpid()

def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())

async def work(handler):
    beside(asyncio.get_running_loop())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, say, "told to drain")
    await asyncio.sleep(0.05)
    await handler()
    await asyncio.sleep(0.1)

def beside(loop):
    if os.getpid() != worker:
        say("the child acts as a worker")
        os._exit(1)
    loop.call_soon(beside, loop)

"""


def said(script: str, *arguments: str) -> list[str]:
    """The lines that a worker says whose `handler` the script defines."""
    script = WORKER + script + "\nasyncio.run(work(handler))\n"
    ran = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        text=True,
        timeout=30,
        check=False,
    )
    return ran.stdout.splitlines()


GUARDS = pytest.mark.parametrize("guard", ["guarded", "unguarded"])
"""`unguarded`: without the guard the same script shows what it prevents."""

COMES_BACK = """
import types

@types.coroutine
def pause():
    yield

async def handler():
    child = os.fork()
    if not child:
        if "awaits" in sys.argv: await pause()
        return
    say("ended", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@GUARDS
@pytest.mark.parametrize("how", ["awaits", "returns"])
def test_a_child_that_comes_back_to_the_loop_ends_there(how: str, guard: str) -> None:
    lines = said(COMES_BACK, how, guard)
    if guard == "guarded":
        assert lines == ["ended 77"]
    else:
        assert "the child acts as a worker" in lines


TERMINATED = """
async def handler():
    child = os.fork()
    if not child:
        time.sleep(20)
    os.kill(child, signal.SIGTERM)
    await asyncio.sleep(0.2)
    os.kill(child, signal.SIGKILL)
    say("ended", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@GUARDS
def test_a_signal_to_the_child_ends_it_and_does_not_drain_the_worker(guard: str) -> None:
    lines = said(TERMINATED, guard)
    assert lines == (["ended -15"] if guard == "guarded" else ["told to drain", "ended -9"])


CLOSES = """
async def handler():
    async with Database(sys.argv[1], name="test") as database, database.connection() as conn:
        child = os.fork()
        if not child:
            conn.pgconn.finish()
            os._exit(0)
        os.waitpid(child, 0)
        await asyncio.sleep(0.2)
        row = await fetch_one(conn, "SELECT 1 AS one")
        say("answered", row["one"])
"""


@GUARDS
def test_a_child_that_closes_its_copy_of_a_connection_leaves_the_workers_open(database_url: str, guard: str) -> None:
    assert said(CLOSES, database_url, guard) == (["answered 1"] if guard == "guarded" else [])


ASKS = """
async def handler():
    async with Database(sys.argv[1], name="test") as database:
        child = os.fork()
        if not child:
            try:
                await database.connection().__aenter__()
            except DatabaseUnusable as error:
                say(str(error).replace(str(worker), "THE WORKER"))
            os._exit(0)
        os.waitpid(child, 0)
"""


def test_the_workers_database_refuses_a_child(database_url: str) -> None:
    (line,) = said(ASKS, database_url)
    assert line.startswith("the connections of test belong to process THE WORKER")


MULTIPROCESSING = """
def square(pipe, queue):
    n = pipe.recv()
    async def on_a_loop_of_its_own():
        await asyncio.sleep(0.01)
        return n * n
    pipe.send(asyncio.run(on_a_loop_of_its_own()))
    queue.put(n)

async def handler():
    fork = multiprocessing.get_context("fork")
    ours, theirs = fork.Pipe()
    queue = fork.Queue()
    process = fork.Process(target=square, args=(theirs, queue))
    process.start()
    ours.send(7)
    say(ours.recv(), queue.get())
    process.join()
    with fork.Pool(2) as pool:
        say(*pool.map(abs, [-1, -2, -3]))
"""


def test_multiprocessing_with_fork_works_in_a_handler() -> None:
    assert said(MULTIPROCESSING) == ["49 7", "1 2 3"]


IN_A_THREAD = """
def in_a_thread():
    child = os.fork()
    if not child:
        os._exit(3)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

async def handler():
    say("ended", await asyncio.to_thread(in_a_thread))
"""


def test_a_fork_in_a_handlers_thread_works_too() -> None:
    assert said(IN_A_THREAD) == ["ended 3"]


def test_pairs_of_sockets_stay_and_all_others_lead_nowhere() -> None:
    script = """
async def handler():
    pair = socket.socketpair()
    server = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(server.getsockname())
    child = os.fork()
    if not child:
        pair[1].send(b"heard")
        try:
            client.send(b"never")
        except OSError as error:
            say(type(error).__name__, error.errno)
        os._exit(0)
    os.waitpid(child, 0)
    say(pair[0].recv(9))
"""
    assert said(script) == [f"OSError {errno.ENOTSOCK}", "b'heard'"]
