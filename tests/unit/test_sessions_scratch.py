"""The folder of running CLIs: private, wiped after the run, and after the process that could not."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import pytest

from jobs_core import ConfigurationError
from sessions.scratch import Scratch


def test_a_run_s_folder_is_private_and_is_wiped_after_it(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path / "s")
    scratch.open()
    with scratch.run_folder(uuid4()) as folder:
        for part in (folder.path, folder.config, folder.home, folder.temporary):
            assert stat.S_IMODE(part.stat().st_mode) == 0o700
        (folder.config / "transcript").write_text("secret")
    assert not folder.path.exists()
    scratch.close()
    assert not folder.path.parent.exists()


def test_what_a_killed_process_left_is_wiped_and_what_a_living_one_holds_is_not(tmp_path: Path) -> None:
    living = Scratch(tmp_path)
    living.open()
    script = (
        "import os, sys; from pathlib import Path; from uuid import uuid4; from sessions.scratch import Scratch\n"
        "scratch = Scratch(Path(sys.argv[1])); scratch.open()\n"
        "run = scratch.run_folder(uuid4()); folder = run.__enter__(); (folder.config / 'transcript').write_text('secret')\n"
        "os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    assert len(list(tmp_path.glob("process-*/*/config/transcript"))) == 1
    with living.run_folder(uuid4()) as folder:
        newcomer = Scratch(tmp_path)
        newcomer.open()
        assert list(tmp_path.glob("process-*/*/config/transcript")) == []
        assert folder.home.exists()
        newcomer.close()
    living.close()


HOSTILE = """
import os, sys
from pathlib import Path
from uuid import uuid4
from sessions.scratch import Scratch

os.geteuid() or os.setuid(65534)  # root may write anywhere
scratch = Scratch(Path(sys.argv[1]))
scratch.open()
with scratch.run_folder(uuid4()) as folder:
    locked = folder.home / "go" / "mod"
    locked.mkdir(parents=True)
    locked.chmod(0)
    locked.parent.chmod(0o500)
    os.chdir(folder.temporary)
    for _ in range(1_500):
        os.mkdir("a")
        os.chdir("a")
    os.chdir("/")
    if sys.argv[2] == "dies":
        folder.path.parent.chmod(0)
        os._exit(0)
scratch.close()
"""


def test_nothing_that_an_agent_leaves_outlives_its_run_or_keeps_a_process_from_its_start() -> None:
    """Folders that nobody may write to or enter, the process's own among them, and ones inside each other without an end."""
    with TemporaryDirectory(prefix="jobs-test-", ignore_cleanup_errors=True) as root:  # pytest's own are root's alone
        if os.geteuid() == 0:
            os.chown(root, 65534, 65534)
        for end, left in (("dies", 1), ("ends", 0)):
            subprocess.run([sys.executable, "-c", HOSTILE, root, end], check=True)
            assert len(list(Path(root).glob("process-*"))) == left


def test_a_wipe_that_is_cut_off_is_finished_by_the_next_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In which order a folder's parts go is the file system's to choose; here the lock comes first."""
    died = Scratch(tmp_path)
    died.open()
    run = died.run_folder(uuid4())
    (run.__enter__().config / "transcript").write_text("secret")

    def cut_off(folder: Path, **_: object) -> None:
        (folder / "lock").unlink(missing_ok=True)
        raise KeyboardInterrupt

    with monkeypatch.context() as killing, pytest.raises(KeyboardInterrupt):
        killing.setattr(shutil, "rmtree", cut_off)
        died.close()
    assert died._lock
    died._lock.close()
    newcomer = Scratch(tmp_path)
    newcomer.open()
    assert len(list(tmp_path.glob("process-*"))) == 1
    newcomer.close()


def test_folders_that_are_not_ours_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "process-of-somebody").mkdir()
    (tmp_path / "process-notes").write_text("mine")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "lock").touch()
    (tmp_path / "elsewhere" / "folder").mkdir()
    (tmp_path / "process-link").symlink_to(tmp_path / "elsewhere")
    scratch = Scratch(tmp_path)
    scratch.open()
    scratch.close()
    assert (tmp_path / "elsewhere" / "folder").is_dir()
    assert (tmp_path / "process-of-somebody").exists()
    assert (tmp_path / "process-notes").exists()


def test_a_place_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="set JOBS_SCRATCH_FOLDER to another folder"):
        Scratch(tmp_path / "file" / "s").open()


def test_a_link_in_the_folder_s_place_is_refused(tmp_path: Path) -> None:
    """Whoever made the link chooses where the conversations lie, and can choose anew."""
    (tmp_path / "there").mkdir()
    (tmp_path / "s").symlink_to(tmp_path / "there")
    with pytest.raises(ConfigurationError, match="is a link"):
        Scratch(tmp_path / "s").open()
    assert list((tmp_path / "there").iterdir()) == []


def test_a_folder_that_others_could_write_to_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(ConfigurationError, match="Others can write"):
        Scratch(tmp_path).open()


@pytest.mark.parametrize("swept", ["s", "s/empty", "s/process-*"])
def test_a_run_begins_after_a_cleaner_took_the_folders(tmp_path: Path, swept: str) -> None:
    scratch = Scratch(tmp_path / "s")
    scratch.open()
    for taken in list(tmp_path.glob(swept)):
        shutil.rmtree(taken)
    with scratch.run_folder(uuid4()) as folder:
        assert scratch.empty.is_dir()
        newcomer = Scratch(tmp_path / "s")
        newcomer.open()
        assert folder.home.is_dir()
        assert (folder.path.parent / "lock").exists()
        newcomer.close()
    scratch.close()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    os.chown(tmp_path, 65534, -1)
    with pytest.raises(ConfigurationError, match="belongs to another user"):
        Scratch(tmp_path).open()
