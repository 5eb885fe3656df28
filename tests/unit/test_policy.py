"""Which calls an agent's rules let through, and that no way of writing a call has them mean less than they say."""

import time
from pathlib import Path
from typing import Any

import pytest

from assistant.policy import MAX_RULES, Policy, parse
from jobs_core import InvalidInput

GIT = {"tool": "Bash", "when": {"command": "git *"}, "then": "allow"}
NO_RM = {"tool": "Bash", "when": {"command": "rm *"}, "then": "reject"}
BASH = {"tool": "Bash", "then": "allow"}
NOTES = {"tool": "Read", "when": {"file_path": "/notes/*"}, "then": "allow"}
NO_ETC = {"tool": "Read", "when": {"file_path": "/etc/*"}, "then": "reject"}
OWN = frozenset({"mcp__jobs__create_task", "mcp__jobs__get_my_tasks"})


def judged(
    rules: list[Any], tool: str, arguments: dict[str, Any], role: Any = "owner", workspace: Path | None = None
) -> str:
    return parse(rules, role=role, workspace=workspace, own_tools=OWN).judge(tool, arguments).then


@pytest.mark.parametrize(
    ("role", "tool", "then"),
    [
        ("owner", "Read", "allow"),
        ("owner", "Bash", "ask"),
        ("owner", "Write", "ask"),
        ("owner", "WebFetch", "ask"),
        ("owner", "mcp__mail__send", "ask"),
        ("owner", "mcp__jobs__create_task", "allow"),
        ("owner", "mcp__jobs__x__wipe", "ask"),
        ("owner", "mcp__jobs___wipe", "ask"),
        ("external", "mcp__jobs__get_my_tasks", "allow"),
        ("external", "mcp__jobsx__get", "reject"),
        ("external", "mcp__jobs__x__wipe", "reject"),
        ("external", "StructuredOutput", "allow"),
        ("external", "Read", "reject"),
        ("external", "Bash", "reject"),
    ],
)
def test_without_rules_the_role_says_what_runs(role: Any, tool: str, then: str) -> None:
    assert judged([], tool, {}, role) == then


@pytest.mark.parametrize(
    ("tool", "given", "then"),
    [
        ("Read", {"file_path": "a.md"}, "allow"),
        ("Read", {"file_path": "{folder}/deep/../a.md"}, "allow"),
        ("Glob", {"pattern": "**/*.md"}, "allow"),
        ("Grep", {"pattern": "/etc/.*", "path": "deep"}, "allow"),
        ("Read", {"file_path": "/etc/passwd"}, "ask"),
        ("Read", {"file_path": "{folder}-of-another/a.md"}, "ask"),
        ("Read", {"file_path": "../a.md"}, "ask"),
        ("Read", {"file_path": "~/a.md"}, "ask"),
        ("Read", {"file_path": "out/passwd"}, "ask"),
        ("Read", {"file_path": "circle/a"}, "ask"),
        ("Read", {"file_path": ["a.md"]}, "ask"),
        ("Read", {"file_path": "a\0"}, "ask"),
        ("Glob", {"pattern": "/etc/*"}, "ask"),
        ("Grep", {"pattern": "root", "path": " /etc"}, "ask"),
        ("Grep", {"pattern": "root", "path": "\ufeff/etc"}, "ask"),
        ("Glob", {"pattern": "*", "path": "\n/etc"}, "ask"),
        ("Glob", {"pattern": "*", "path": "deep "}, "ask"),
        ("Glob", {"pattern": "e\u0301/*"}, "ask"),
        ("Grep", {"pattern": "root", "path": "deep/up/../../out"}, "ask"),
        ("Glob", {"pattern": "{folder}/deep/up/../../out/*"}, "ask"),
        ("Glob", {"pattern": "../../*", "path": "deep"}, "ask"),
        ("Grep", {"pattern": "root", "path": "/etc"}, "ask"),
    ],
)
def test_files_are_read_unasked_in_the_agents_folder_only(
    tool: str, given: dict[str, Any], then: str, tmp_path: Path
) -> None:
    """The gate's word is the last: a CLI that it allows a file reads it, wherever that lies."""
    folder = tmp_path / "w"
    folder.mkdir()
    (folder / "out").symlink_to("/etc")
    (folder / "circle").symlink_to(folder / "circle")
    (folder / "a" / "b" / "c").mkdir(parents=True)
    (folder / "deep").mkdir()
    (folder / "deep" / "up").symlink_to(folder / "a" / "b" / "c")
    filled = {
        name: value.replace("{folder}", str(folder)) if isinstance(value, str) else value
        for name, value in given.items()
    }
    assert judged([], tool, filled, workspace=folder) == then
    assert judged([], tool, filled) == "ask", "without a folder"


def test_the_first_rule_that_matches_decides_and_is_named() -> None:
    policy = parse([NO_RM, GIT, {"tool": "Bash", "then": "reject"}], role="owner")
    said = [policy.judge("Bash", {"command": command}) for command in ("git status", "rm x", "ls")]
    assert [(one.then, one.by) for one in said] == [("allow", "rule 2"), ("reject", "rule 1"), ("reject", "rule 3")]


@pytest.mark.parametrize(
    "command",
    [
        "git status; rm -rf /",
        "git status && rm -rf /",
        "git status | sh",
        "git status & rm x",
        "git status > /etc/passwd",
        "git log $(rm x)",
        "git log `rm x`",
        "git log ${IFS}",
        "git status\nrm x",
        "git status\rrm x",
        "git status\u2028rm x",
        "git status\x00rm x",
        "git log 'a'",
        'git log "a"',
        "git log \\x",
        "git log *",
        "git log ~",
        "git log {a,b}",
        "git log #",
        "git log !!",
        "git\u00a0status",
        "git \u202estatus",
        "git \u200bstatus",
        "git \uff1b rm",
        " git status",
        "GIT status",
        "git",
        "gits status",
        "git " + "a" * 20_000,
    ],
)
def test_no_way_of_writing_a_command_gets_it_past_a_glob_that_allows(command: str) -> None:
    assert judged([GIT], "Bash", {"command": command}) == "ask"
    assert judged([GIT], "mcp__ssh__run", {"command": command}) == "ask"


@pytest.mark.parametrize("untold", [{"run_in_background": True}, {"dangerouslyDisableSandbox": True}, {"x": None}])
def test_an_argument_that_a_rule_says_nothing_of_is_not_allowed_by_it(untold: dict[str, Any]) -> None:
    given = {"command": "git status", "description": "Look", "timeout": 5}
    assert judged([GIT], "Bash", given) == "allow"
    assert judged([GIT], "Bash", given | untold) == "ask"


@pytest.mark.parametrize(
    "command", ["rm x", " rm x", "echo; rm x", "\\rm x", "r''m x", "rm\tx", "\uff52m x", "a && rm x"]
)
def test_what_a_rule_may_mean_that_rejects_is_not_allowed_by_a_later_one(command: str) -> None:
    assert judged([NO_RM, BASH], "Bash", {"command": command}) == ("reject" if command == "rm x" else "ask")
    assert judged([NO_RM, BASH], "Bash", {"command": "ls -l"}) == "allow"
    assert judged([NO_RM, {"tool": "*", "then": "reject"}], "Bash", {"command": command}) == "reject"


def test_an_exact_rule_means_what_it_says_and_nothing_else() -> None:
    for exact in ("ls | wc -l; date", {"exact": "ls *.py"}):
        text = exact if isinstance(exact, str) else exact["exact"]
        rules = [{"tool": "Bash", "when": {"command": exact}, "then": "allow"}]
        assert judged(rules, "Bash", {"command": text}) == "allow"
        for other in (text + " ", " " + text, text + "\n", text.upper(), text.replace("*", "a")):
            assert judged(rules, "Bash", {"command": other}) == ("allow" if other == text else "ask")


@pytest.mark.parametrize(
    "path",
    [
        "/notes/../etc/passwd",
        "/notes/./a",
        "/notes/a/..",
        "/notes//a",
        "/notes/a\n",
        "/notes/\u202ea",
        "/notes/e\u0301",
    ],
)
def test_a_path_that_leads_elsewhere_matches_no_glob_that_allows(path: str) -> None:
    rules = [NOTES, {"tool": "Read", "then": "ask"}]
    assert judged(rules, "Read", {"file_path": path}) == "ask"
    assert judged(rules, "Read", {"file_path": "/notes/a b/\u00e9.md"}) == "allow"


@pytest.mark.parametrize(
    "path", ["/etc/passwd", " /etc/passwd", "//etc/passwd", "/./etc/passwd", "/x/../etc/passwd", "/\uff45tc/passwd"]
)
def test_a_path_is_not_read_by_writing_it_otherwise(path: str) -> None:
    assert judged([NO_ETC], "Read", {"file_path": path}) == ("reject" if path == "/etc/passwd" else "ask")
    assert judged([NO_ETC], "Read", {"file_path": "/x"}, workspace=Path("/")) == "allow"


def test_a_star_stands_for_anything_and_a_question_mark_for_one_character() -> None:
    url = {"tool": "WebFetch", "when": {"url": "https://e?ample.org/*/x*"}, "then": "allow"}
    assert judged([url], "WebFetch", {"url": "https://example.org/a/b/xx"}) == "allow"
    assert judged([url], "WebFetch", {"url": "https://example.org/a/b"}) == "ask"
    assert judged([url], "WebFetch", {"url": "https://exxample.org/a/x"}) == "ask"
    assert judged([{"tool": "mcp__mail__*", "then": "reject"}], "mcp__mail__send", {}) == "reject"


def test_what_is_no_text_is_matched_as_json() -> None:
    rule = {"tool": "mcp__mail__send", "when": {"to": '["a@b.c"]', "urgent": "false"}, "then": "allow"}
    assert judged([rule], "mcp__mail__send", {"to": ["a@b.c"], "urgent": False}) == "allow"
    assert judged([rule], "mcp__mail__send", {"to": ["a@b.c"], "urgent": None}) == "ask"
    assert judged([rule], "mcp__mail__send", {"to": ["a@b.c"]}) == "ask"


def test_many_stars_take_no_time() -> None:
    rule = {"tool": "Read", "when": {"file_path": "a*" * 200 + "b"}, "then": "allow"}
    began = time.monotonic()
    assert judged([rule], "Read", {"file_path": "a" * 9_000}) == "ask"
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("rules", "field"),
    [
        ({}, "gate_policy"),
        ([{}] * (MAX_RULES + 1), "gate_policy"),
        ([GIT, "x"], "gate_policy.1"),
        ([{"tool": "Bash"}], "gate_policy.0"),
        ([{"tool": "Bash", "then": "permit"}], "gate_policy.0"),
        ([{"tool": "Bash", "then": "allow", "if": {}}], "gate_policy.0"),
        ([{"tool": "", "then": "allow"}], "gate_policy.0.tool"),
        ([{"tool": "Bash", "when": [], "then": "allow"}], "gate_policy.0.when"),
        ([{"tool": "Bash", "when": {"command": 1}, "then": "allow"}], "gate_policy.0.when.command"),
        (
            [{"tool": "Bash", "when": {"command": {"exact": "a", "x": 1}}, "then": "allow"}],
            "gate_policy.0.when.command",
        ),
        ([{"tool": "Bash", "when": {"command": "a" * 2_001}, "then": "allow"}], "gate_policy.0.when.command"),
    ],
)
def test_what_is_no_rule_is_refused_by_its_place(rules: Any, field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse(rules, role="owner")
    assert refused.value.field == field


def test_a_policy_has_no_rules_unless_it_is_given_some() -> None:
    assert Policy("external") == parse([], role="external")
