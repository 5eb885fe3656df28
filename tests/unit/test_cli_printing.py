import pytest

from cli.printing import plain, print_json, print_plain


@pytest.mark.parametrize("hostile", ["\x1b[2J", "\x9b31m", "\u202egnp.exe", "\x07", "\r", "\x00", "\u2066"])
def test_nothing_that_a_terminal_would_obey_is_printed(hostile: str) -> None:
    """Escape sequences, C1 controls and direction marks in an answer must not hide or change what stands around it."""
    assert plain(f"a{hostile}b").startswith("a\N{REPLACEMENT CHARACTER}")
    assert hostile[0] not in plain(f"a{hostile}b")


def test_text_of_any_language_is_left_alone() -> None:
    text = "Привет, Ada!\n\tनमस्ते 日本語 é 👩\u200d🚀"
    assert plain(text) == text


def test_json_for_machines_is_one_line_of_ascii(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"text": "Ада\x9b\u202e\n"})
    out = capsys.readouterr().out
    assert out.isascii()
    assert out.count("\n") == 1


def test_an_answer_is_made_safe_on_its_way_out(capsys: pytest.CaptureFixture[str]) -> None:
    print_plain("\x1b]0;owned\x07done")
    assert "\x1b" not in capsys.readouterr().out
