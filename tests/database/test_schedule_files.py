"""Schedules in files: applied as often as one likes, wrong ones told by file and line, and left to the files."""

from pathlib import Path

import pytest

import schedules
from assistant.agent_schedules import save
from assistant.schedule_drafts import read
from assistant.scheduled_turns import SCHEDULED_TURN
from cli.errors import CommandFailed
from cli.schedule_files import Applied, apply, read_folder
from jobs_core import Connection, HandlerTable, fetch
from tests.support.job_types import NOTE

MORNING = '[morning]\ncron = "0 9 * * mon-fri"\nzone = "Europe/Berlin"\nprompt = """\nWhat is on\n[today]?"""\n'
NOTES = '["notes"]\nevery_s = 900\njob_type = "note"\n[notes.input]\ntext = "x"\n'
NOTES += '[later]\nat = 2099-01-31T09:00:00\nprompt = "?"\n'


@pytest.fixture
def table() -> HandlerTable:
    known = HandlerTable()
    known.declare_all([SCHEDULED_TURN, NOTE])
    return known


def write(folder: Path, **files: str) -> Path:
    (folder / "schedules").mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / "schedules" / f"{name}.toml").write_text(text)
    return folder


async def applied(
    conn: Connection, table: HandlerTable, folder: Path, *, prune: bool = False, dry: bool = False
) -> Applied:
    return await apply(conn, table, read_folder(folder), prune=prune, dry_run=dry)


def did(done: Applied) -> dict[str, str]:
    return {saved.schedule.name: saved.did for saved in done.saved}


async def names(conn: Connection) -> list[str]:
    return [one.name for one in await schedules.listed(conn)]


async def test_what_files_say_is_applied_and_again_changes_nothing(
    conn: Connection, table: HandlerTable, tmp_path: Path
) -> None:
    folder = write(tmp_path, a=MORNING, b=NOTES)
    dry = await applied(conn, table, folder, dry=True)
    assert (did(dry), await names(conn)) == ({"later": "made", "morning": "made", "notes": "made"}, [])
    assert did(await applied(conn, table, folder)) == did(dry)
    before = await fetch(conn, "SELECT * FROM jobs.schedules ORDER BY id")
    assert set(did(await applied(conn, table, folder)).values()) == {"nothing"}
    assert await fetch(conn, "SELECT * FROM jobs.schedules ORDER BY id") == before
    assert [(row["name"], row["source"]) for row in before] == [
        ("later", "file:b.toml"), ("morning", "file:a.toml"), ("notes", "file:b.toml")
    ]  # fmt: skip
    write(folder, a=MORNING.replace("0 9", "30 8"))
    assert did(await applied(conn, table, folder))["morning"] == "changed"


async def test_a_pause_by_hand_outlives_an_apply(conn: Connection, table: HandlerTable, tmp_path: Path) -> None:
    folder = write(tmp_path, a=MORNING)
    await applied(conn, table, folder)
    await schedules.pause(conn, "morning", why="on holiday")
    write(folder, a=MORNING.replace("0 9", "30 8"))
    await applied(conn, table, folder)
    assert (await schedules.get(conn, "morning")).paused_why == "on holiday"


async def test_what_no_file_has_any_more_is_left_and_told_unless_it_is_to_be_pruned(
    conn: Connection, table: HandlerTable, tmp_path: Path
) -> None:
    async with conn.transaction():
        await save(conn, table, read({"name": "mine", "every_s": 60, "prompt": "?"}), source="cli")
    folder = write(tmp_path, a=MORNING, b=NOTES)
    await applied(conn, table, folder)
    (folder / "schedules" / "b.toml").unlink()
    done = await applied(conn, table, folder)
    assert [one.name for one in done.left] == ["later", "notes"]
    done = await applied(conn, table, folder, prune=True, dry=True)
    assert ([one.name for one in done.removed], len(await names(conn))) == (["later", "notes"], 4)
    await applied(conn, table, folder, prune=True)
    assert await names(conn) == ["mine", "morning"]


WRONG: list[tuple[dict[str, str], list[str]]] = [
    ({"a": MORNING, "b": "\n" + MORNING}, ["b.toml:2: morning stands in a.toml:1 already"]),
    ({"a": MORNING.replace("0 9", "61 9")}, ["a.toml:2: morning: schedule.cron: "]),
    (
        {"a": "x = 1\n" + MORNING.replace("Berlin", "Nowhere")},
        ["a.toml:1: x: stands in no table", "a.toml:4: morning: schedule.zone"],
    ),
    ({"a": MORNING + "promt = 1\n"}, ["a.toml:7: morning: schedule.promt"]),
    ({"a": "[morning\n"}, ["a.toml:1: is no TOML"]),
    ({"a": f"x = {'9' * 5000}\n"}, ["a.toml: cannot be read as TOML (Exceeds the limit"]),
    ({"a": f"x = {'[' * 3000}{']' * 3000}\n"}, ["a.toml: cannot be read as TOML (maximum recursion depth"]),
    ({"a": MORNING + "name = 'x'\n"}, ["a.toml:7: morning: name: the table's heading"]),
    ({"a": MORNING + "[Evening]\nevery_s = 5\nprompt = 'x'\n"}, ["a.toml:7: name: 'Evening' is not 1 to 63"]),
    (
        {"a": MORNING + "agent = 'gone'\n", "b": NOTES.replace('"note"', '"odd"')},
        ["a.toml:1: There is no agent", "b.toml:3: no job type"],
    ),
]


async def test_all_that_is_wrong_is_told_by_file_and_line_and_nothing_is_applied(
    conn: Connection, table: HandlerTable, tmp_path: Path
) -> None:
    for number, (files, said) in enumerate(WRONG):
        (folder := tmp_path / str(number)).mkdir()
        write(folder, good='[good]\nevery_s = 5\nprompt = "x"\n', **files)
        with pytest.raises(CommandFailed) as told:
            await applied(conn, table, folder)
        for line in said:
            assert line in str(told.value)
    assert await names(conn) == []


def test_a_folder_without_schedules_has_none(tmp_path: Path) -> None:
    assert read_folder(tmp_path) == []
