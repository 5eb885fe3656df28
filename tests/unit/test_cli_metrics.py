"""Where a process without a web door counts, and shows it."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from cli.errors import CommandFailed
from cli.folder import Folder, Running
from cli.metrics import counting
from cli.settings import CliSettings
from jobs_core.counted import VARIABLE
from jobs_core.errors import ConfigurationError

COUNT = "from jobs_core import metrics; metrics.rescued.inc(3)"


@pytest.fixture(autouse=True)
def no_folder_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "")  # so that it is put back whatever a test makes of it
    monkeypatch.delenv(VARIABLE)


def settings(folder: Path, address: str = "") -> CliSettings:
    return CliSettings.read(data=folder, metrics_address=address)


def test_what_processes_below_count_is_served_and_gone_afterwards(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with counting(settings(tmp_path, "127.0.0.1:0"), processes=True):
        subprocess.run([sys.executable, "-c", COUNT], check=True)
        found = re.search(r"http://\S+", capsys.readouterr().err)
        assert found
        page = httpx.get(found[0])
        folder = Path(os.environ[VARIABLE])
    assert page.headers["content-type"].startswith("text/plain")
    assert "jobs_rescued_total 3.0" in page.text
    assert not folder.exists()
    with pytest.raises(httpx.ConnectError):
        httpx.get(found[0])


def test_who_joins_an_up_counts_in_its_folder(tmp_path: Path) -> None:
    up = Folder(tmp_path)
    with up.taken(), up.announced(Running("http://127.0.0.1:1", os.getpid(), "simulator"), {}):
        with counting(settings(tmp_path), processes=True):
            assert VARIABLE not in os.environ  # it works on a database of its own
        with counting(settings(tmp_path), joins=True, processes=True):
            assert os.environ[VARIABLE] == str(up.metrics)


def test_a_folder_that_was_given_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    with counting(settings(tmp_path, "127.0.0.1:0"), joins=True, processes=True):
        assert os.environ[VARIABLE] == str(tmp_path)
    assert tmp_path.exists()


@pytest.mark.parametrize("port", [70000, None], ids=["no port", "taken"])
def test_an_address_that_cannot_be_had_is_told(tmp_path: Path, port: int | None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{port or other.getsockname()[1]}"
        with pytest.raises(CommandFailed, match="JOBS_METRICS_ADDRESS"), counting(settings(tmp_path, address)):
            pass


@pytest.mark.parametrize("address", ["9464", ":9464", "host", "host:port", "http://host:1"])
def test_what_is_no_address_is_refused(tmp_path: Path, address: str) -> None:
    with pytest.raises(ConfigurationError, match="JOBS_METRICS_ADDRESS"):
        settings(tmp_path, address)
