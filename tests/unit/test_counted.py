"""What processes of one host counted: added up, also of those that have ended, and no more files than there should be."""

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client.mmap_dict import MmapedDict, mmap_key
from prometheus_client.parser import text_string_to_metric_families

from jobs_core import counted
from jobs_core.counted import MOST_DEAD, Counted, page_of


def write(file: Path, name: str, value: float, **labels: str) -> None:
    """One number, as a process has it in its file."""
    metric = name.removesuffix("_bucket")
    own = MmapedDict(str(file))
    own.write_value(mmap_key(metric, name, [*labels], [*labels.values()], "help"), value, 0.0)
    own.close()


def samples(folder: Path) -> dict[str, float]:
    text = page_of(Counted(folder)).decode()
    families = text_string_to_metric_families(text)
    return {f"{one.name}{sorted(one.labels.items())}": one.value for family in families for one in family.samples}


@pytest.fixture
def ended() -> list[int]:
    """The numbers of processes that have ended."""
    processes = [subprocess.Popen([sys.executable, "-c", ""]) for _ in range(2)]
    for process in processes:
        process.wait()
    return [process.pid for process in processes]


def test_many_files_of_ended_processes_become_one_and_no_count_changes(
    tmp_path: Path, ended: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counted, "MOST_DEAD", 2)
    for number, pid in enumerate(ended, 1):
        write(tmp_path / f"counter_{pid}.db", "jobs_x_total", number, job_type="a")
        write(tmp_path / f"histogram_{pid}.db", "jobs_y_bucket", number, le="1.0")
    monkeypatch.setattr(counted, "_forget_the_dead", lambda _: None)
    before = samples(tmp_path)
    monkeypatch.undo()
    monkeypatch.setattr(counted, "MOST_DEAD", 2)
    assert samples(tmp_path) == samples(tmp_path) == before
    assert before["jobs_x_total[('job_type', 'a')]"] == 3
    assert sorted(file.name for file in tmp_path.glob("*.db")) == ["counter_0.db", "histogram_0.db"]


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="this system cannot promise room")
def test_files_are_added_up_only_where_there_is_room_for_it(
    tmp_path: Path, ended: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(counted, "MOST_DEAD", 1)
    for pid in ended:
        write(tmp_path / f"counter_{pid}.db", "jobs_x_total", 1)
    with monkeypatch.context() as disk:
        disk.setattr(os, "posix_fallocate", full)
        assert samples(tmp_path)["jobs_x_total[]"] == 2
        assert {f"counter_{pid}.db" for pid in ended} <= {file.name for file in tmp_path.glob("*.db")}
    assert samples(tmp_path)["jobs_x_total[]"] == 2
    (total,) = tmp_path.glob("*.db")
    assert (total.name, total.stat().st_blocks * 512 >= total.stat().st_size) == ("counter_0.db", True)


def test_few_files_of_ended_processes_are_left_as_they_are(tmp_path: Path, ended: list[int]) -> None:
    assert len(ended) <= MOST_DEAD
    for pid in ended:
        write(tmp_path / f"counter_{pid}.db", "jobs_x_total", 1)
    assert samples(tmp_path)["jobs_x_total[]"] == 2
    assert len(list(tmp_path.glob("*.db"))) == 2


def test_gauges_of_ended_processes_are_forgotten(tmp_path: Path, ended: list[int]) -> None:
    write(tmp_path / f"gauge_livesum_{ended[0]}.db", "jobs_z", 1)
    assert samples(tmp_path) == {}


def test_a_page_does_not_wait_for_one_that_froze_while_it_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counted, "_LOCK_WITHIN_S", 0.05)
    write(tmp_path / "counter_1.db", "jobs_x_total", 1)
    lock = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        assert samples(tmp_path)["jobs_x_total[]"] == 1
    finally:
        os.close(lock)


def test_a_file_that_its_process_had_not_made_when_it_was_killed_is_passed_over(
    tmp_path: Path, ended: list[int]
) -> None:
    (tmp_path / f"counter_{ended[0]}.db").touch()
    write(tmp_path / f"counter_{ended[1]}.db", "jobs_x_total", 1)
    assert samples(tmp_path)["jobs_x_total[]"] == 1
