"""`./jobs doctor` itself: what checks of this host find, and that no check hides another."""

import asyncio
import dataclasses
from pathlib import Path

import pytest

from cli.doctor.check import Check, Finding, Mend, fail, fail_by, ok
from cli.doctor.checkup import check_up
from cli.doctor.host import pinned_cli_version
from tests.support.doctor import Doctor


@pytest.fixture
def doctor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Doctor:
    for name in ("DATABASE_URL", "ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN", "JOBS_WORKSPACES", "JOBS_VOICE_MODEL"):
        monkeypatch.delenv(name, raising=False)
    return Doctor(tmp_path)


async def test_a_check_that_hangs_and_one_that_breaks_hide_no_other(doctor: Doctor) -> None:
    async def well(_: object) -> Finding:
        return ok("well")

    async def hangs(_: object) -> Finding:
        await asyncio.Event().wait()
        raise AssertionError

    async def breaks(_: object) -> Finding:
        raise KeyError("what people said")

    checks = (
        Check("hangs", hangs, within_s=0.05),
        Check("breaks", breaks),
        Check("well", well),
        Check("behind", well, needs="hangs"),
        Check("far behind", well, needs="behind"),
    )
    found = {check.name: finding for check, finding in (await check_up(doctor.place(), checks)).items()}
    assert list(found) == [check.name for check in checks]
    assert {name: finding.state for name, finding in found.items()} == {
        "hangs": "fail",
        "breaks": "fail",
        "well": "ok",
        "behind": "skipped",
        "far behind": "skipped",
    }
    assert found["hangs"].text == "it could not be told within 0.05 s"
    assert found["breaks"].text == "the check itself broke (KeyError)"


async def test_a_check_that_cannot_be_made_does_not_let_all_seem_well(doctor: Doctor) -> None:
    """Asked for alone, it is skipped: what it needs and fails is told beside it, and its mend is not made unasked."""

    async def broken(_: object) -> Finding:
        return fail("broken", "mend it", Mend("mend it", do_not))

    async def do_not(_: object) -> str:
        raise AssertionError

    async def well(_: object) -> Finding:
        return ok("well")

    checks = (
        Check("fine", well),
        Check("root", broken, needs="fine"),
        Check("stem", well, needs="root"),
        Check("leaf", well, needs="stem"),
    )
    found = {check.name: finding for check, finding in (await check_up(doctor.place(), checks, ["leaf"])).items()}
    assert {name: (finding.state, finding.mend) for name, finding in found.items()} == {
        "root": ("fail", None),
        "leaf": ("skipped", None),
    }
    found = {check.name: finding for check, finding in (await check_up(doctor.place(), checks, ["root"])).items()}
    assert [(name, finding.mend is not None) for name, finding in found.items()] == [("root", True)]


async def test_without_a_database_it_says_so_and_what_to_do(doctor: Doctor) -> None:
    found = await doctor.look("postgres")
    assert (found.state, found.text.startswith("There is no database: no ./jobs up runs in ")) == ("fail", True)
    assert found.todo == "Start one, or set it"
    assert (await doctor.look("lanes")).state == "skipped"


async def test_a_setting_that_cannot_be_read_is_named(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await doctor.state("settings") == "ok"
    monkeypatch.setenv("JOBS_SILENCE_S", "long")
    assert (await doctor.look("settings")).text == "JOBS_SILENCE_S"


async def test_a_cli_that_is_missing_broken_or_another_version_is_told(
    doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "claude"
    monkeypatch.setenv("JOBS_CLAUDE_CLI", str(program))
    assert "missing or not executable" in (await doctor.look("cli")).text

    async def said_by(script: str) -> Finding:
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o700)
        return await doctor.look("cli")

    assert "does not start (exit status 3)" in (await said_by("exit 3")).text
    other = await said_by("echo 1.0.0 '(Claude Code)'")
    assert (other.state, other.text.startswith("the Claude Code CLI is 1.0.0, and ")) == ("warn", True)
    assert (await said_by(f"echo {pinned_cli_version()} '(Claude Code)'")).state == "ok"
    monkeypatch.setenv("ANTHROPIC_API_KEY", "hidden")
    assert (await said_by('test -z "$ANTHROPIC_API_KEY" && exit 4')).text.endswith("(exit status 4)"), "it got our key"


async def test_folders_that_cannot_be_used_are_told(
    doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await doctor.state("workspaces") == "ok"
    root = tmp_path / "workspaces"
    root.mkdir(mode=0o700)
    assert (await doctor.look("workspaces")).text == f"{root} can be written"
    assert list(root.iterdir()) == []
    root.chmod(0o777)
    assert "Others can write to" in (await doctor.look("workspaces")).text
    monkeypatch.setenv("JOBS_WORKSPACES", str(tmp_path / "file" / "workspaces"))
    (tmp_path / "file").touch()
    assert (await doctor.look("workspaces")).state == "fail"


async def test_a_disk_that_is_full_is_told_where_postgres_lies_here(doctor: Doctor, tmp_path: Path) -> None:
    assert await doctor.state("disk") == "skipped"
    (tmp_path / "postgres").mkdir()
    assert await doctor.state("disk", free_bytes=1) == "ok"
    assert await doctor.state("disk", free_bytes=1 << 60) == "fail"


async def test_a_model_that_is_not_in_its_folder_is_told(
    doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await doctor.state("voice") == "skipped"
    monkeypatch.setenv("JOBS_VOICE_MODEL", str(tmp_path))
    assert f"{tmp_path} holds no model" in (await doctor.look("voice")).text
    (tmp_path / "model.bin").touch()
    monkeypatch.setattr("cli.doctor.host.missing", lambda _: None)
    assert await doctor.state("voice") == "ok"


@pytest.mark.parametrize(
    ("error", "text", "todo"),
    [
        ("it broke: mend it", "it broke", "mend it"),
        ("It broke. Mend it, or not.", "It broke", "Mend it, or not"),
        ("it broke", "it broke", "see that, and look again"),
    ],
)
def test_an_error_is_told_as_what_and_what_to_do(error: str, text: str, todo: str) -> None:
    assert dataclasses.astuple(fail_by(error))[:3] == ("fail", text, todo)
