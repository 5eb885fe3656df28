"""Where agents work: a private folder each, of ids only, and never by way of a link."""

import stat
from pathlib import Path

import pytest

from assistant.workspaces import Workspaces
from jobs_core import ConfigurationError


def test_each_user_and_agent_has_a_folder_of_its_own_which_stays(tmp_path: Path) -> None:
    spaces = Workspaces(tmp_path / "made" / "on the way")
    folder = spaces.folder("u_ada", 7)
    (folder / "notes").write_text("kept")
    assert folder == tmp_path / "made" / "on the way" / "u_ada" / "7"
    assert (spaces.folder("u_ada", 7) / "notes").read_text() == "kept"
    assert len({folder, spaces.folder("u_ada", 8), spaces.folder("u_bob", 7)}) == 3


def test_nobody_else_can_look_into_one_also_after_an_agent_opened_it(tmp_path: Path) -> None:
    spaces = Workspaces(tmp_path / "w")
    folder = spaces.folder("u_ada", 7)
    folder.chmod(0o777)
    spaces.folder("u_ada", 7)
    for made in (spaces.root, folder.parent, folder):
        assert stat.S_IMODE(made.stat().st_mode) == 0o700


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_a_link_in_the_way_is_refused_and_nothing_made_behind_it(tmp_path: Path, depth: int) -> None:
    """Followed, the next run would work in a folder that an agent chose."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    spaces = Workspaces(tmp_path / "w")
    place = [spaces.root, spaces.root / "u_ada", spaces.root / "u_ada" / "7"][depth]
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(elsewhere)
    with pytest.raises(ConfigurationError, match="it is a link, or a file"):
        spaces.folder("u_ada", 7)
    assert list(elsewhere.iterdir()) == []


def test_a_file_in_the_way_and_a_root_that_others_can_write_to_are_refused(tmp_path: Path) -> None:
    (tmp_path / "u_ada").write_text("")
    with pytest.raises(ConfigurationError, match=f"{tmp_path}/u_ada cannot be used"):
        Workspaces(tmp_path).folder("u_ada", 7)
    tmp_path.chmod(0o777)
    with pytest.raises(ConfigurationError, match="chmod go-w"):
        Workspaces(tmp_path).folder("u_bob", 7)


@pytest.mark.parametrize("user_id", ["..", "a/b", "", "u_ada\n", "/etc"])
def test_what_is_no_id_of_ours_makes_no_path(tmp_path: Path, user_id: str) -> None:
    with pytest.raises(AssertionError):
        Workspaces(tmp_path).folder(user_id, 7)
    assert list(tmp_path.iterdir()) == []


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    spaces = Workspaces(tmp_path)
    (tmp_path / "u_bob").symlink_to("/")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(10):
        spaces.folder("u_ada", 7)
        with pytest.raises(ConfigurationError):
            spaces.folder("u_bob", 7)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
