"""`./jobs up` for somebody who is not root, from a checkout that they can only read."""

import os
import site
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.support.up import Home, refused

NOBODY = 65534
AS_NOBODY = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
SYSTEM_PYTHON = Path(f"/usr/bin/python3.{sys.version_info.minor}")

pytestmark = pytest.mark.skipif(
    os.geteuid() == 0 and not SYSTEM_PYTHON.exists(),
    reason="root's own interpreter may be one that nobody else can reach, and the system has none of this version",
)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that other users can enter; pytest's own are root's alone where root runs the tests."""
    with TemporaryDirectory(prefix="jobs-test-") as made:
        Path(made).chmod(0o755)
        yield Path(made)


@pytest.fixture
def home(folder: Path) -> Home:
    """Commands as the user `nobody` where we are root and can become it, else as ourselves."""
    if os.geteuid() != 0:
        return Home(folder)
    environment = folder / "python"
    subprocess.run([SYSTEM_PYTHON, "-m", "venv", "--without-pip", environment], check=True)
    [packages] = environment.glob("lib/*/site-packages")
    (packages / "ours.pth").write_text("\n".join(site.getsitepackages()))
    return Home(folder, python=environment / "bin" / "python", prefix=AS_NOBODY)


def hand_over(folder: Path) -> None:
    """Give a folder to the ordinary user."""
    if os.geteuid() == 0:
        os.chown(folder, NOBODY, NOBODY)


def test_a_folder_that_cannot_be_written_is_refused(folder: Path, home: Home) -> None:
    (folder / "data").mkdir(mode=0o500)
    hand_over(folder / "data")
    assert "up.lock cannot be written (Permission denied)" in refused(home)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a folder of somebody else's")
def test_a_folder_of_somebody_elses_is_refused(folder: Path, home: Home) -> None:
    (folder / "data").mkdir()
    assert "belongs to another user (uid 0)" in refused(home)


def test_a_message_is_answered_and_nothing_is_left(folder: Path, home: Home) -> None:
    hand_over(folder)
    with home.up() as up:
        assert home.json("chat", "hello")["status"] == "answered"
        assert up.stop() == 0
    assert home.left() == []
