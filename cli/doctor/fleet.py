"""Checks of the workers: do they live, under guard, and hear of jobs."""

import socket
from contextlib import suppress
from typing import Literal

import psutil

from assistant.chats import CHAT_TURN
from assistant.transcription import TRANSCRIBE
from cli.doctor.check import Finding, fail, listed, n_of, ok, skipped, warn
from cli.doctor.place import Place
from jobs_core import diagnosis
from workers.guard_link import VARIABLE
from workers.process_tree import weaker_here

_ALMOST_FULL = 0.5
"""Of the queue of NOTIFYs: full, it fails the commit of whoever sends one."""
_WITH_CHILDREN = {CHAT_TURN.name, TRANSCRIBE.name}
"""Types whose runs have processes below them."""


async def workers(place: Place) -> Finding:
    """Do workers live, and are the dead seen to?"""
    async with place.look() as conn:
        found = await diagnosis.workers(conn, died_within_s=place.bounds.died_s)
    of = {state: [row for row in found if row["state"] == state] for state in ("live", "silent", "died")}
    told = {state: listed([f"{row['id']} ({row['host']}, process {row['pid']})" for row in of[state]]) for state in of}
    if of["silent"]:
        return fail(f"nobody takes over from worker {told['silent']}", "start workers: ./jobs up, or ./jobs worker")
    if not of["live"]:
        return fail("no worker lives: no job is run", "start workers: ./jobs up, or ./jobs worker")
    if of["died"]:
        return warn(
            f"worker {told['died']} died within the hour; its jobs were taken over",
            "see in its logs, and in the system's, what killed it",
        )
    return ok(f"{n_of(len(of['live']), 'worker')} at work")


async def guard(place: Place) -> Finding:
    """Is each worker of this host, that may have processes below it, under a supervisor that kills them in its stead?"""
    async with place.look() as conn:
        found = await diagnosis.workers(conn, died_within_s=0)
    here = [row for row in found if row["state"] == "live" and row["host"] == socket.gethostname()]
    here = [row for row in here if _WITH_CHILDREN & set(row["job_types"])]
    if not here:
        return skipped("no worker that runs agents lives on this host")
    guards = {row["pid"]: _guard_of(row["pid"]) for row in here}
    if alone := [str(pid) for pid, found in guards.items() if found == "none"]:
        return warn(
            f"process {listed(alone)} works without a supervisor: what it leaves when it dies goes on",
            "start workers by ./jobs up or ./jobs worker",
        )
    if frozen := [str(pid) for pid, found in guards.items() if found == "stopped"]:
        return fail(
            f"the supervisor of process {listed(frozen)} is stopped, as by Ctrl-Z: it kills nobody in its stead",
            f"fg at its terminal, or kill -CONT $(ps -o ppid= -p {frozen[0]})",
        )
    if weaker := weaker_here():
        return warn(weaker.rstrip("."), "run workers on Linux where agents' tools act on the world")
    if "hidden" in guards.values():
        return skipped("the workers of this host are another user's: come as that one")
    return ok(f"{n_of(len(here), 'worker')} of this host under guard")


def _guard_of(pid: int) -> Literal["there", "stopped", "none", "hidden"]:
    """Its supervisor, with which the worker itself ends; hidden: it is not ours to see."""
    with suppress(psutil.NoSuchProcess):
        try:
            worker = psutil.Process(pid)
            if VARIABLE not in worker.environ():
                return "none"
            if psutil.Process(worker.ppid()).status() == psutil.STATUS_STOPPED:
                return "stopped"
        except psutil.AccessDenied:
            return "hidden"
    return "there"  # or it has ended since


async def listeners(place: Place) -> Finding:
    """Do workers hear of new jobs at once?"""
    async with place.look() as conn:
        server = await diagnosis.server(conn)
        hear = await diagnosis.listeners(conn)
        found = await diagnosis.workers(conn, died_within_s=0)
        pooled = conn.pooled and not place.core.database_direct_url
    if server.notify_usage > _ALMOST_FULL:
        return fail(
            f"the queue of NOTIFYs is {server.notify_usage:.0%} full: full, it fails commits",
            "end the session that listens inside a transaction: ./jobs doctor --only snapshots shows old ones",
        )
    # One of one slot may be a runner of a job that is to run alone: those are given their job, and do not listen.
    to_hear = sum(row["state"] == "live" and row["slots"] > 1 for row in found)
    if not to_hear or pooled:
        return skipped("none can be heard through a pooler: see pooler" if pooled else "no worker lives that need hear")
    if hear < to_hear:
        return warn(
            f"{to_hear - hear} of {n_of(to_hear, 'worker')} do not listen: they look for jobs each second",
            "see listen.failed in their logs",
        )
    return ok(f"{n_of(to_hear, 'worker')} told of jobs at once")
