"""What an agent is given of the files that came with what was said: in its workspace, or in words."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from assistant import chats, handing_over, media
from assistant.chats import Said
from assistant.content import File
from assistant.handing_over import hand_over
from assistant.media import Claim
from assistant.settings import MediaSettings
from assistant.workspaces import Workspaces
from handlers import chat_turn
from jobs_core import ConfigurationError, Connection, Database, HandlerTable, Jobs, execute
from tests.database.test_chat_turn import Bench, bench
from tests.support.people import EVE, contact, owner
from workers.executor import Executor

__all__ = ["bench"]  # a fixture

SETTINGS = MediaSettings.read()


async def stored(conn: Connection, content: bytes, name: str | None = "a.csv", **changes: Any) -> media.Media:
    """A file that is here."""
    file_id = await media.expect(conn, "ada", Claim("document", name, len(content)), SETTINGS)
    size = max(10, len(content) // 2)
    for nth, at in enumerate(range(0, len(content), size)):
        await media.add_piece(conn, file_id, nth, content[at : at + size])
    (file,) = await media.find(conn, [file_id])
    await media.arrive(conn, file, SETTINGS)
    return (await media.find(conn, [file_id]))[0]


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "w"
    folder.mkdir()
    return folder


async def test_a_file_is_saved_into_the_inbox_and_told_with_what_is_claimed_of_it(
    database: Database, conn: Connection, workspace: Path
) -> None:
    file = await stored(conn, b"a;b\n1;2\n3;4\n", name='../x\u202e".csv')
    (said,) = await hand_over(database, [Said(1, "Sum it up.", media=[file])], workspace)
    saved = workspace / "inbox" / str(file.name)
    assert (saved.read_bytes(), saved.stat().st_mode & 0o777) == (b"a;b\n1;2\n3;4\n", 0o600)
    assert names(workspace / "inbox") == [file.name]
    assert said.content == (
        'Sum it up.\n\n[File that came with this message: document, named "../x\\u202e\\".csv" by its sender, '
        f"text/plain by its content, 12 bytes. It lies in your working directory: inbox/{file.name}.]"
    )
    assert (said.files, said.media) == ((), ())


async def test_a_file_that_is_there_is_left_as_the_agent_has_made_it(
    database: Database, conn: Connection, workspace: Path
) -> None:
    file = await stored(conn, b"old")
    for _ in range(2):
        await hand_over(database, [Said(1, "", media=[file])], workspace)
        (workspace / "inbox" / str(file.name)).write_text("new")
    assert (workspace / "inbox" / str(file.name)).read_text() == "new"


async def test_a_link_in_the_inboxs_place_is_not_followed(
    database: Database, conn: Connection, workspace: Path, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (workspace / "inbox").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigurationError, match="takes no file"):
        await hand_over(database, [Said(1, "", media=[await stored(conn, b"x")])], workspace)
    assert names(tmp_path / "elsewhere") == []


async def test_a_save_that_is_cut_off_leaves_nothing(
    database: Database, conn: Connection, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any) -> Any:
        yield b"half"
        raise ConnectionResetError

    file = await stored(conn, b"whole")
    with monkeypatch.context() as patch:
        patch.setattr(media, "pieces", broken)
        with pytest.raises(ConfigurationError):
            await hand_over(database, [Said(1, "", media=[file])], workspace)
    assert names(workspace / "inbox") == []


@pytest.mark.parametrize("has_workspace", [True, False], ids=["saved", "quoted"])
async def test_a_file_whose_bytes_are_dropped_while_it_is_handed_over_is_told_as_gone_and_not_cut(
    database: Database, conn: Connection, workspace: Path, *, has_workspace: bool
) -> None:
    file = await stored(conn, b"whole\n" * 9)
    await execute(conn, "DELETE FROM jobs.media_pieces WHERE nth > 0")
    (said,) = await hand_over(database, [Said(1, "", media=[file])], workspace if has_workspace else None)
    assert "It is too old, and no longer kept" in said.content
    assert said.files == ()
    assert not has_workspace or names(workspace / "inbox") == []


async def test_without_a_workspace_a_short_text_is_quoted_and_the_rest_told(
    database: Database, conn: Connection
) -> None:
    text, archive = await stored(conn, b"1;2\n"), await stored(conn, b"PK\x03\x04\0", name="a.zip")
    long = await stored(conn, b"x" * 65_537)
    await media.forget(conn, SETTINGS)
    given = [Said(1, "Look.", media=[text, archive, long])]
    (said,) = await hand_over(database, given, None)
    assert said.files == (File("text/plain", b"1;2\n", "a.csv", len(said.content)),)
    assert said.content.count("You have no means to open it") == 2
    prompt = chats.prompt_of([said])
    assert isinstance(prompt, list)
    assert [part["type"] for part in prompt] == ["text", "document"]


async def test_the_bytes_of_a_file_are_dropped_when_it_is_too_old(
    database: Database, conn: Connection, workspace: Path
) -> None:
    old, new = await stored(conn, b"old"), await stored(conn, b"new")
    age = "UPDATE jobs.media_files SET created_at = now() - interval '8 days' WHERE id = %(id)s"
    await execute(conn, age, {"id": old.id})
    assert await media.forget(conn, SETTINGS) == 1
    assert [file.state for file in await media.find(conn, [old.id, new.id])] == ["gone", "here"]
    assert await media.came(conn, old.id) == (0, 0)
    (said,) = await hand_over(database, [Said(1, "", media=await media.find(conn, [old.id]))], workspace)
    assert "too old, and no longer kept" in said.content


async def test_a_turn_quotes_no_more_text_than_a_message_may_have(
    database: Database, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handing_over, "MAX_MESSAGE_BYTES", 5)
    texts = [await stored(conn, b"1;2\n") for _ in range(2)]
    said = await hand_over(database, [Said(nth, "", media=[text]) for nth, text in enumerate(texts)], None)
    assert [len(message.files) for message in said] == [1, 0]


async def test_the_owners_agent_finds_it_in_its_folder_and_somebody_elses_is_told_so(
    bench: Bench, database: Database, conn: Connection, tmp_path: Path
) -> None:
    table, archive = HandlerTable(), await stored(conn, b"PK\x03\x04\0", name="a.zip")
    chat_turn.register(table, database=database, sessions=bench.agent, workspaces=Workspaces(tmp_path))  # type: ignore[arg-type]  # a stand-in for the agent
    for user in (await owner(database), await contact(database, EVE)):
        await bench.say("Look.", user_id=user.id, media=[archive.id])
        await Executor(Jobs(database, table), 1, on_stuck=pytest.fail).run(await bench.claim())
    for_owner, for_eve = bench.agent.asked
    assert (for_owner["agent"].workspace / "inbox" / str(archive.name)).read_bytes() == b"PK\x03\x04\0"
    assert f"inbox/{archive.name}" in for_owner["prompt"]
    assert "You have no means to open it" in for_eve["prompt"]
