"""Settings that are kept in the folder: how the file is read and written, and what comes before it."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli import saved
from cli.child import environment
from jobs_core import ConfigurationError

ODD = "a b'c\"d$e\\f#g"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file of a folder that JOBS_DATA names, before an environment that says nothing else."""
    before = dict(os.environ)
    for name in os.environ:
        if name.startswith(("ANTHROPIC_", "CLAUDE", "JOBS_", "DATABASE_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("JOBS_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(saved, "_in_use", set())
    yield tmp_path / "data" / saved.FILE
    for name in set(os.environ) - set(before):
        del os.environ[name]


def test_what_was_written_is_read_and_other_lines_stay(file: Path) -> None:
    saved.write(file, {"JOBS_MODEL": ODD, "JOBS_PORT": "1"})
    file.write_text(f"# mine\nJOBS_SLOTS=3\nexport JOBS_LEASE_S='9'\n{file.read_text()}")
    saved.write(file, {"JOBS_PORT": "2", "JOBS_SLOTS": ""})
    assert file.read_text().splitlines()[:2] == ["# mine", "export JOBS_LEASE_S='9'"]
    assert saved.read(file) == {"JOBS_LEASE_S": "9", "JOBS_MODEL": ODD, "JOBS_PORT": "2"}
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    said = subprocess.run(
        ["sh", "-c", f'. {file}; printf %s "$JOBS_MODEL"'], capture_output=True, text=True, check=True
    )
    assert said.stdout == ODD, "a shell reads it, too"


def test_the_environment_comes_first_be_it_empty_and_names_that_belong_together_from_one_place(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved.write(
        file, {"JOBS_MODEL": "saved", "JOBS_PORT": "1", "ANTHROPIC_BASE_URL": "http://simulator", "JOBS_SLOTS": "3"}
    )
    monkeypatch.setenv("JOBS_MODEL", "outside")
    monkeypatch.setenv("JOBS_PORT", "")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "the real key")
    saved.use_saved([])
    assert [os.environ.get(name) for name in ("JOBS_MODEL", "JOBS_PORT", "JOBS_SLOTS")] == ["outside", "", "3"]
    assert "ANTHROPIC_BASE_URL" not in os.environ, "the real key would go there"
    assert "JOBS_SLOTS" not in saved.outside()
    assert saved.before("ANTHROPIC_BASE_URL", saved.outside()) == "ANTHROPIC_API_KEY"


def test_a_process_that_we_start_does_not_read_a_file_that_was_changed_meanwhile(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.environ", environment())
    saved.write(file, {"JOBS_SLOTS": "3"})
    saved.use_saved([])
    assert "JOBS_SLOTS" not in os.environ


@pytest.mark.parametrize(
    "arguments", [["ls", "--data", "{}"], ["ls", "--data={}"], ["--data", "{}", "--", "--data", "/no"]]
)
def test_the_folder_of_the_command_line_is_the_one(file: Path, tmp_path: Path, arguments: list[str]) -> None:
    other = tmp_path / "other"
    saved.write(other / saved.FILE, {"JOBS_SLOTS": "4"})
    saved.use_saved([argument.format(other) for argument in arguments])
    assert os.environ["JOBS_SLOTS"] == "4"


@pytest.mark.parametrize("line", ["JOBS_SLOTS", "JOBS_SLOTS='3", "JOBS_SLOTS=3 4", "jobs slots=3"])
def test_a_line_that_is_none_is_named(file: Path, line: str) -> None:
    saved.write(file, {"JOBS_PORT": "hidden"})
    file.write_text(f"{file.read_text()}{line}\n")
    with pytest.raises(ConfigurationError, match=r"settings.env, line 2: it is not NAME=value") as error:
        saved.use_saved([])
    assert "hidden" not in str(error.value)


def test_a_file_that_others_can_write_is_refused_and_a_value_of_two_lines_never_written(file: Path) -> None:
    with pytest.raises(ConfigurationError, match="JOBS_MODEL has more than one line"):
        saved.write(file, {"JOBS_MODEL": "a\nJOBS_HANDLERS=evil"})
    assert not file.exists()
    saved.write(file, {"JOBS_MODEL": "a"})
    file.chmod(0o620)
    with pytest.raises(ConfigurationError, match="can be written by others"):
        saved.use_saved([])


def test_a_file_of_another_user_is_refused_but_by_root(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its owner could have us run their code, by JOBS_HANDLERS; what root writes for a user is that user's."""
    saved.write(file, {"JOBS_PORT": "1"})
    mine = file.stat().st_uid or 4711
    if mine == 4711:
        os.chown(file, mine, -1)
    for asking, refused in ((mine, False), (0, False), (mine + 1, True)):
        monkeypatch.setattr(os, "geteuid", lambda asking=asking: asking)
        if refused:
            with pytest.raises(ConfigurationError, match="belongs to another user"):
                saved.read(file)
        else:
            assert saved.read(file) == {"JOBS_PORT": "1"}
