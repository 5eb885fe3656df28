"""How like a person is what was asked for: a short list is ranked as somebody would rank it by hand."""

from datetime import UTC, datetime

import pytest

from assistant.people import User
from assistant.person_search import LIKE_ENOUGH, likeness

NAMES = ["John Smith", "Joan Smythe", "José Álvarez", "Анна Петрова", "Ann", "Annabel Lee", "Björn", "王小明", "Max"]


def user(name: str, username: str | None = None) -> User:
    now = datetime(2030, 1, 1, tzinfo=UTC)
    return User("u_1", name, username, "external", None, now, now)


def ranked(asked: str) -> list[str]:
    like = {name: likeness(asked, user(name)) for name in NAMES}
    return sorted((name for name in NAMES if like[name] >= LIKE_ENOUGH), key=lambda name: -like[name])


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("John Smith", ["John Smith", "Joan Smythe"]),
        ("jhon smith", ["John Smith", "Joan Smythe"]),
        ("smith", ["John Smith", "Joan Smythe"]),
        ("jose alvarez", ["José Álvarez"]),
        ("alvares", ["José Álvarez"]),
        ("ANN", ["Ann", "Annabel Lee"]),
        ("анна питрова", ["Анна Петрова"]),
        ("bjorn", ["Björn"]),
        ("小明", ["王小明"]),
        ("maximilian", []),
        ("john alvarez", []),
        ("x", ["Max"]),
    ],
)
def test_the_likeliest_come_first_and_the_unlike_not_at_all(asked: str, found: list[str]) -> None:
    assert ranked(asked) == found


def test_an_id_an_address_or_a_username_is_exact() -> None:
    ada = user("Ada", "countess")
    assert [likeness(asked, ada, ["4711"]) for asked in ("u_1", "4711", "countess", "ada")] == [1.0] * 4
    assert likeness("471", ada, ["4711"]) < LIKE_ENOUGH
