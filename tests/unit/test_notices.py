"""Notifications as messages: whole where they fit, cut where they do not, and many in one."""

from datetime import UTC, datetime

import pytest

from assistant.notices import MAX_UNITS, Noted, alone, digest
from assistant.preferences import Severity


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def noted(n: int, severity: Severity = "info", title: str = "It is done") -> Noted:
    return Noted(n, title, severity, datetime(2026, 7, 1, 22, 5, tzinfo=UTC))


def test_one_is_its_title_and_its_body() -> None:
    assert alone(7, "Done", "All of it.", "info") == "Done\n\nAll of it."
    assert alone(7, "Broken", "", "error") == "error: Broken"


@pytest.mark.parametrize("char", ["x", "\N{GRINNING FACE}", "é"])
def test_a_long_one_is_cut_to_what_a_receiver_takes_and_says_where_the_rest_is(char: str) -> None:
    text = alone(7, "Long", char * 20_000, "info")
    assert MAX_UNITS - 1 <= units(text) <= MAX_UNITS
    assert text.endswith("./jobs notifications show 7")
    assert text.encode()


def test_a_digest_has_a_line_for_each_the_most_severe_first() -> None:
    text = digest([noted(1), noted(2, "warning"), noted(3, "error", "It\nbroke"), noted(4)], "Europe/Berlin")
    assert text.splitlines() == [
        "4 notifications:",
        "• 02 Jul 00:05 error: It broke",
        "• 02 Jul 00:05 warning: It is done",
        "• 02 Jul 00:05 It is done",
        "• 02 Jul 00:05 It is done",
    ]


def test_a_digest_of_many_shows_thirty_and_says_how_many_more() -> None:
    many = [*(noted(n, title="\N{GRINNING FACE}" * 200) for n in range(41)), noted(41, "error", "The one that counts")]
    lines = digest(many, "UTC").splitlines()
    assert (lines[0], lines[-1]) == ("42 notifications:", "and 12 more: ./jobs notifications ls")
    assert len(lines) == 32
    assert lines[1].endswith("error: The one that counts")
    assert all(line.endswith("…") for line in lines[2:-1])
    assert units(digest(many, "UTC")) <= MAX_UNITS
