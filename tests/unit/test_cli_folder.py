import fcntl
import json
import os
from pathlib import Path

import pytest

from cli.errors import CommandFailed
from cli.folder import Folder, Running
from cli.postgres_folder import write_private
from jobs_core import ConfigurationError

RUNNING = Running("http://127.0.0.1:8080", 4711, "simulator")


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "jobs")


def test_the_folder_is_made_for_its_owner_alone(folder: Folder) -> None:
    with folder.taken():
        assert folder.path.stat().st_mode & 0o777 == 0o700


def test_a_second_start_in_the_folder_is_told_who_has_it(folder: Folder) -> None:
    says = r"in use by process 4711 at http://127\.0\.0\.1:8080"
    with folder.taken(), folder.announced(RUNNING, {}), pytest.raises(CommandFailed, match=says):
        Folder(folder.path).taken().__enter__()


def test_the_folder_is_free_again_after_the_start_that_had_it(folder: Folder) -> None:
    for _ in range(2):
        with folder.taken():
            assert (folder.path / "up.lock").exists()


def test_a_start_waits_for_a_command_that_looks_at_the_lock(folder: Folder) -> None:
    """`running` holds the lock for a moment; the start must not take that for another start."""
    with folder.taken():
        pass
    looking = os.open(folder.path / "up.lock", os.O_RDONLY)
    fcntl.flock(looking, fcntl.LOCK_SH)
    tries: list[float] = []

    def let_go(wait_s: float) -> None:
        tries.append(wait_s)
        fcntl.flock(looking, fcntl.LOCK_UN)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cli.folder.time.sleep", let_go)
        with folder.taken():
            assert len(tries) == 1
    os.close(looking)


def test_other_commands_find_what_runs_and_how_to_join_it(folder: Folder) -> None:
    joins = {"DATABASE_URL": "postgresql://…"}
    assert (folder.running(), folder.joins()) == (None, {})
    with folder.taken(), folder.announced(RUNNING, joins):
        assert (folder.running(), folder.joins()) == (RUNNING, joins)
    assert (folder.running(), folder.joins()) == (None, {})


def test_what_a_killed_start_left_is_not_taken_for_one_that_runs(folder: Folder) -> None:
    """After kill -9 the files stay and the lock is gone; whoever has the port now must not be sent the token."""
    with folder.taken():
        (folder.path / "up.json").write_text(json.dumps({"url": RUNNING.url, "pid": 1, "model": "api"}))
        (folder.path / "joins").write_text("{}")
        assert folder.running() is not None
    assert folder.running() is None


def test_a_start_does_not_announce_its_killed_predecessor(folder: Folder) -> None:
    """The lock is the new start's, the address is nobody's, or by now another program's."""
    with folder.taken():
        folder.announce(RUNNING, {"DATABASE_URL": "postgresql://gone"})
    with folder.taken():
        assert (folder.running(), folder.joins()) == (None, {})


def test_an_up_that_ends_while_it_is_looked_at_is_not_joined(folder: Folder) -> None:
    with folder.taken(), folder.announced(RUNNING, {}):
        (folder.path / "joins").unlink()
        assert folder.joins() == {}


def test_secrets_are_for_the_owner_alone(folder: Folder) -> None:
    folder.make_token()
    with folder.taken(), folder.announced(RUNNING, {"DATABASE_URL": "postgresql://u:secret@h/d"}):
        for name in ("token", "joins"):
            assert (folder.path / name).stat().st_mode & 0o777 == 0o600
        assert "secret" not in (folder.path / "up.json").read_text()


def test_the_token_is_made_once(folder: Folder) -> None:
    token = folder.make_token()
    assert len(token) >= 32
    assert folder.make_token() == token == folder.token()


def test_two_that_make_the_token_at_once_use_the_same(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second one comes and goes while the first, having found no token, is about to write its own."""
    others: list[str] = []

    def write(path: Path, text: str) -> None:
        monkeypatch.setattr("cli.folder.write_private", write_private)
        others.append(Folder(folder.path).make_token())
        write_private(path, text)

    monkeypatch.setattr("cli.folder.write_private", write)
    assert [folder.make_token()] == others
    assert [file.name for file in folder.path.iterdir()] == ["token"]


def test_without_a_start_there_is_no_token(folder: Folder) -> None:
    with pytest.raises(CommandFailed, match=r"start \./jobs up"):
        folder.token()


def test_a_token_that_is_easily_guessed_is_refused(folder: Folder) -> None:
    folder.make_token()
    (folder.path / "token").write_text("secret\n")
    with pytest.raises(ConfigurationError, match="fewer than 16 characters"):
        folder.make_token()


def test_a_file_in_the_folders_place_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="is in the way"):
        Folder(tmp_path / "file").taken().__enter__()


@pytest.mark.parametrize("mode", [0o770, 0o702, 0o1777])
def test_a_folder_that_others_may_write_is_refused(mode: int, folder: Folder) -> None:
    """They could put another token, address or database there."""
    folder.path.mkdir()
    folder.path.chmod(mode)
    for use in (folder.make_token, folder.taken().__enter__):
        with pytest.raises(ConfigurationError, match="can be written by others: chmod go-w it"):
            use()
    folder.path.chmod(0o755)
    assert folder.make_token()


def test_the_workers_asked_for_are_known_while_it_runs(folder: Folder) -> None:
    with folder.taken():
        with folder.announced(RUNNING, {}):
            assert folder.processes() is None
            Folder(folder.path).scale(4)
            assert folder.processes() == 4
            (folder.path / "processes").write_text("many")
            assert folder.processes() is None
            folder.scale(3)
        assert folder.processes() is None


def test_where_none_runs_nobody_is_asked_for_workers(folder: Folder) -> None:
    with pytest.raises(CommandFailed, match=r"no \./jobs up runs in"):
        folder.scale(4)
    with folder.taken():
        folder.path.joinpath("processes").write_text("7")
    with folder.taken():
        assert folder.processes() is None, "what a killed one left"
