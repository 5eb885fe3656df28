"""Telegram: ways cut at each point, updates and sends lost, doubled and killed; a message is one, its answer is seen once.

    way      the real CLI, an approval by button, processes killed at K1, K2, K11, K12, K13         telegram_way
    losses   10,000 messages of 50 chats, 50 disconnects, the holder of the account killed          telegram_losses
    sends    5,000 sends cut off between Telegram and the record                                    telegram_sends
    states   flood waits, blocked, a deleted topic, a revoked key                                   telegram_states
    load     a sender who floods, cards beside any load, and how fast all of it is                  telegram_load

Each again with a guard taken out, a random id drawn at each try, say, or a wait taken for a retry: those must break.
"""

import argparse
import asyncio
import os
import shutil
import tempfile
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from tests.drills import telegram_load, telegram_losses, telegram_sends, telegram_states, telegram_way
from tests.drills.main import in_fresh_databases
from tests.drills.report import show

Part = tuple[Any, Callable[[str, Any, Path], Coroutine[Any, Any, Any]]]
"""A plan, and what carries it out on a fresh database, with a folder for logs; a plan with a mutant must break."""


def parts(*, short: bool, seed: int) -> dict[str, Part]:
    """All parts of the drill by name."""
    way, losses, sends, states = telegram_way.Plan, telegram_losses.Plan, telegram_sends.Plan, telegram_states.Plan
    full_losses = losses(10_000, seed, disconnects=50, kills=20)
    return {
        "way": (way(1 if short else 10, seed), telegram_way.run),
        "way-states-first": (way(0, seed, ("K1",), mutant="states_first", within_s=30), telegram_way.run),
        "way-fresh-ids": (way(0, seed, ("K12",), mutant="fresh_ids"), telegram_way.run),
        "losses": (losses(2_000, seed, disconnects=12, kills=3) if short else full_losses, telegram_losses.run),
        "losses-fresh-ids": (losses(600, seed, disconnects=12, kills=4, mutant="fresh_ids"), telegram_losses.run),
        "sends": (sends(500 if short else 5_000, seed), telegram_sends.run),
        "sends-fresh-ids": (sends(50, seed, mutant="fresh_ids"), telegram_sends.run),
        "load": (telegram_load.Plan(2 if short else 6, seed, many_s=5 if short else 30), telegram_load.run),
        "load-by-arrival": (telegram_load.Plan(1, seed, asks=8, heap=3_000, mutant="by_arrival"), telegram_load.run),
        "load-behind-turns": (telegram_load.Plan(0, seed, mutant="behind_turns"), telegram_load.run),
        "states": (states(1 if short else 20), telegram_states.run),
        "states-waits-as-retries": (states(1, only=["flood wait"], mutant="waits_as_retries"), telegram_states.run),
        "states-blocks-as-refusals": (
            states(1, only=["blocked"], mutant="blocks_as_refusals", within_s=5),
            telegram_states.run,
        ),
    }


def main(arguments: Sequence[str]) -> int:
    """`./jobs drill telegram [--short] [--only PART]`: 0 when each part held, and broke with a guard taken out."""
    parser = argparse.ArgumentParser(prog="./jobs drill telegram")
    parser.add_argument("--short", action="store_true", help="fewer messages and faults: minutes instead of hours")
    parser.add_argument(
        "--only", action="append", choices=list(parts(short=True, seed=0)), help="this part; repeatable"
    )
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3)), help="repeat a run that went wrong")
    asked = parser.parse_args(arguments)
    known, failures = parts(short=asked.short, seed=asked.seed), 0
    for name, dsn, _ in in_fresh_databases(*(asked.only or known)):
        plan, run = known[name]
        folder = Path(tempfile.mkdtemp(prefix="jobs-telegram-"))
        report = asyncio.run(run(dsn, plan, folder))
        broken = report.broken
        if mutant := getattr(plan, "mutant", ""):
            print(f"{mutant} broke: {'; '.join(broken)[:500]}")
            broken = [] if broken else [f"{mutant} broke nothing"]
        print(f"{'part':>24} {name}")
        if show(plan, report, broken):
            failures += 1
            print(f"Its processes' log is {folder / 'log'}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return 1 if failures else 0
