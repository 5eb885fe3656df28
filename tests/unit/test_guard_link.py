"""The line between a worker and its guard: what is said, and what each does when the other is gone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from jobs_core import ConfigurationError
from workers.guard_link import EXIT_GUARD_LOST, GuardEnd, GuardLink

CHECKOUT = Path(__file__).parents[2]


def test_the_guard_reads_the_last_of_several_messages_and_parts_of_one() -> None:
    end = GuardEnd()
    try:
        writes = end.worker_fds[1]
        end.read()
        assert end.deadline_s is None
        os.write(writes, b"deadline 5.0\nno_lease\ndeadline 1")
        end.read()
        assert end.deadline_s is None
        os.write(writes, b"7.25\n")
        end.read()
        assert end.deadline_s == 17.25
        os.write(writes, b"no_lease\n")
        end.read()
        assert end.deadline_s is None
        os.write(writes, b"deadline 3.5\nnonsense\n")
        with pytest.raises(ValueError, match="nonsense"):
            end.read()
    finally:
        end.close_workers_ends()
        end.close()


def test_a_process_that_no_supervisor_started_has_no_link(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JOBS_GUARD_FDS", raising=False)
    assert GuardLink.from_environment() is None


LINKED = """
import os
from workers.guard_link import VARIABLE, GuardLink
fds = [int(number) for number in os.environ[VARIABLE].split(",")]
GuardLink.from_environment().deadline(12.5)
print(VARIABLE in os.environ, [os.get_inheritable(fd) for fd in fds], flush=True)
os.read(0, 1)
"""


def test_a_worker_takes_its_link_away_from_its_children() -> None:
    end = GuardEnd()
    worker = subprocess.Popen(
        [sys.executable, "-c", LINKED],
        cwd=CHECKOUT,
        env={**os.environ, **end.variable},
        pass_fds=end.worker_fds,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    end.close_workers_ends()
    assert worker.stdout
    assert worker.stdout.readline() == "False [False, False]\n"
    end.read()
    assert end.deadline_s == 12.5
    end.close()
    assert worker.wait(10) == EXIT_GUARD_LOST


def test_a_link_whose_pipe_is_full_ends_the_worker() -> None:
    """The guard has read nothing for hours: it guards nothing."""
    end = GuardEnd()
    script = LINKED.replace("os.read(0, 1)", "while True: link.deadline(1.0)").replace(
        "GuardLink.from_environment()", "link = GuardLink.from_environment(); link"
    )
    worker = subprocess.Popen(
        [sys.executable, "-c", script], cwd=CHECKOUT, env={**os.environ, **end.variable}, pass_fds=end.worker_fds
    )
    end.close_workers_ends()
    assert worker.wait(10) == EXIT_GUARD_LOST
    end.close()


def test_a_variable_that_names_no_open_pipes_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    for value in ("7", "a,b", "987,988"):
        monkeypatch.setenv("JOBS_GUARD_FDS", value)
        with pytest.raises(ConfigurationError, match=r"JOBS_GUARD_FDS=.* unset it"):
            GuardLink.from_environment()
