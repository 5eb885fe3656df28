"""The process of the Telegram drill that holds an account: `jobs telegram`, started, killed and started again."""

from contextlib import ExitStack
from typing import Self

import psutil

from tests.drills.telegram_process import MUTANT
from tests.support.up import Home


class Holder:
    """The one process that holds the account."""

    def __init__(self, home: Home, mutant: str = "", **environment: str) -> None:
        self._home = home
        self._mutant = mutant
        self._environment = environment
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def kill(self) -> None:
        """SIGKILL it, and start another."""
        self._stack.close()
        self._start()

    @property
    def cpu_s(self) -> float:
        """Of the processor, spent by the process and all below it that run."""
        root = psutil.Process(self._process.pid)
        times = [process.cpu_times() for process in (root, *root.children(recursive=True))]
        return sum(one.user + one.system for one in times)

    def _start(self) -> None:
        environment = {
            "JOBS_HANDLERS": "tests.drills.telegram_process",
            "JOBS_UNKNOWN_SENDERS": "serve",
            "JOBS_LEASE_S": "5",
            "JOBS_RENEW_S": "1",
            "JOBS_POLL_S": "1",
            "JOBS_LOG_LEVEL": "warning",
            MUTANT: self._mutant,
            **self._environment,
        }
        self._process = self._stack.enter_context(self._home.start("telegram", **environment)).process
