"""Which tool calls run, which are asked about and which are rejected: an agent's rules, then what its user's role may do.

    [{"tool": "Bash", "when": {"command": "git *"}, "then": "allow"}, …]      the first rule that matches decides

A rule names a tool and patterns for some of its arguments. A pattern without `*` and `?` is the whole value, character for
character, and so is {"exact": "…"}; in others `*` is any run of characters and `?` one, again over the whole value. What is
not text is matched as JSON.

A value can be written so that a pattern means less than it says. So a glob is only believed where it cannot be fooled: of a
shell's command, plain words; of anything else, printable characters in their usual form, without `.` and `..` as parts of a
path; and of neither with spaces around it. A value that is not so matches no `allow` with a glob; and where a glob that asks or
rejects comes by it, nothing after that may allow it unasked.
"""

import os
import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from jobs_core import InvalidInput, gate
from sessions import canonical

Then = Literal["allow", "ask", "reject"]
Role = Literal["owner", "external"]
Unattended = Literal["reject", "ask", "wait"]
"""What becomes of a call that needs approval in a turn that nobody waits for: refused; put before those who may decide, as any
other; or left in the list of what waits, without telling anybody."""
STRUCTURED = "StructuredOutput"
"""How an agent gives a structured result: an answer, not an act."""
READ_ONLY = frozenset({"Read", "Glob", "Grep", "LS", "NotebookRead", "TodoWrite"})
"""Built-in tools that change nothing outside their run; of files they may read those in the agent's folder unasked."""
MAX_RULES = 200
MAX_PATTERN_CHARS = 2_000
MAX_VALUE_CHARS = 10_000
"""A glob is not believed about a longer one."""

_PATHS = ("file_path", "notebook_path", "path", "pattern")
"""Arguments of these that name files; a pattern may lead out of the folder, too."""
_SHELLS = frozenset({"Bash"})
_COMMANDS = frozenset({"command", "cmd", "script"})
"""Arguments that hold a shell's command, whatever the tool."""
_SHELL_UNTOLD = frozenset({"description", "timeout"})
"""Of a shell's arguments those that a rule need not speak of; `run_in_background` and the like change what a command does."""
_PLAIN_WORDS = re.compile(r"[A-Za-z0-9 _./:=@,+%-]*")
_DOTS = re.compile(r"(^|/)\.{1,2}(/|$)|(?<!:)//")
_THENS = ("allow", "ask", "reject")


@dataclass(frozen=True, slots=True)
class Pattern:
    """What one argument must be."""

    text: str
    glob: bool

    def matches(self, value: str) -> bool:
        """Whether the whole value is this."""
        return _glob(self.text, value) if self.glob else value == self.text


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `tool` may be a glob over names, too."""

    tool: str
    when: Mapping[str, Pattern]
    then: Then


@dataclass(frozen=True, slots=True)
class Judged:
    """What is to become of a call, and by which rule."""

    then: Then
    by: str


@dataclass(frozen=True, slots=True)
class Policy:
    """An agent's rules, for a user of this role. workspace: the folder that its tools work in, where it has one.

    own_tools: the names of the assistant's own tools. Whole ones: how they begin, those of a server `jobs__x` begin, too.
    """

    role: Role
    rules: Sequence[Rule] = ()
    workspace: Path | None = None
    own_tools: Collection[str] = ()

    def judge(self, tool: str, arguments: Mapping[str, Any]) -> Judged:
        """What is to become of a call."""
        doubted = ""
        for number, rule in enumerate(self.rules, start=1):
            fits = _fits(rule, tool, arguments)
            by = f"rule {number}"
            if fits is None and rule.then != "allow":
                doubted = doubted or by
            elif fits:
                return _unless(doubted, Judged(rule.then, by))
        return _unless(doubted, self._by_role(tool, arguments))

    def _by_role(self, tool: str, arguments: Mapping[str, Any]) -> Judged:
        by = f"default of {self.role}"
        if tool in self.own_tools or tool == STRUCTURED:
            return Judged("allow", by)
        if self.role == "external":
            return Judged("reject", by)
        return Judged("allow" if tool in READ_ONLY and self._stays_inside(tool, arguments) else "ask", by)

    def _stays_inside(self, tool: str, arguments: Mapping[str, Any]) -> bool:
        """Whether all files that a call names lie in the agent's folder, links followed. One without a folder may read none."""
        named = [arguments[name] for name in _PATHS if name in arguments and (name, tool) != ("pattern", "Grep")]
        if not named:
            return True
        root = self.workspace.resolve() if self.workspace else None
        return root is not None and all(isinstance(path, str) and _lies_in(root, path) for path in named)


def parse(
    rules: Any,
    *,
    role: Role,
    workspace: Path | None = None,
    own_tools: Collection[str] = (),
    field: str = "gate_policy",
) -> Policy:
    """The policy that rules say, which come as JSON. Raises InvalidInput naming the rule that is none."""
    if not isinstance(rules, list):
        raise InvalidInput(f"{field}: is {type(rules).__name__}, not a list of rules", field=field)
    if len(rules) > MAX_RULES:
        raise InvalidInput(f"{field}: {len(rules)} rules, at most {MAX_RULES} are allowed", field=field)
    return Policy(
        role, tuple(_rule(rule, f"{field}.{index}") for index, rule in enumerate(rules)), workspace, own_tools
    )


def _rule(rule: Any, field: str) -> Rule:
    match rule:
        case {"tool": str(tool), "then": ("allow" | "ask" | "reject") as then, **rest} if set(rest) <= {"when"}:
            when = rest.get("when", {})
            if not isinstance(when, dict):
                raise InvalidInput(
                    f"{field}.when: is {type(when).__name__}, not arguments with patterns", field=f"{field}.when"
                )
            patterns = {name: _pattern(pattern, f"{field}.when.{name}") for name, pattern in when.items()}
            return Rule(gate.check_name(tool, field=f"{field}.tool"), patterns, then)
    raise InvalidInput(
        f'{field}: is no rule; write {{"tool": "Bash", "when": {{"command": "git *"}}, "then": one of {", ".join(_THENS)}}}',
        field=field,
    )


def _pattern(pattern: Any, field: str) -> Pattern:
    match pattern:
        case str(text):
            glob = "*" in text or "?" in text
        case {"exact": str(text), **rest} if not rest:
            glob = False
        case _:
            raise InvalidInput(f'{field}: is no pattern; write text, or {{"exact": "text"}}', field=field)
    return Pattern(gate.check_text(text, field=field, max_chars=MAX_PATTERN_CHARS), glob)


def _fits(rule: Rule, tool: str, arguments: Mapping[str, Any]) -> bool | None:
    """Whether a rule matches a call; None: it cannot be told."""
    if not _glob(rule.tool, tool):
        return False
    told: bool | None = True
    for name, pattern in rule.when.items():
        if name not in arguments:
            return False
        value = arguments[name]
        text = value if isinstance(value, str) else canonical_value(value)
        if pattern.glob and not _is_plain(text, is_command=tool in _SHELLS or name in _COMMANDS):
            told = None
        elif not pattern.matches(text):
            return False
    if rule.when and tool in _SHELLS and set(arguments) - set(rule.when) - _SHELL_UNTOLD:
        return None
    return told


def canonical_value(value: Any) -> str:
    """A value of an argument as JSON text, as `canonical` writes whole arguments."""
    return canonical({"": value})[len('{"":') : -1]


def _is_plain(text: str, *, is_command: bool) -> bool:
    """Whether a glob can be believed about this value."""
    if len(text) > MAX_VALUE_CHARS or (is_command and not _PLAIN_WORDS.fullmatch(text)):
        return False
    if not _is_usual(text) or unicodedata.normalize("NFKC", text) != text:
        return False
    return not _DOTS.search(text)


def _is_usual(text: str) -> bool:
    """Whether a tool takes it as it is written: tools leave out spaces around a value, and a shell those before a command."""
    return text == text.strip() and not any(_is_odd(char) for char in text)


def _is_odd(char: str) -> bool:
    """Control, format, surrogate, private or unassigned characters, and all spaces but the common one."""
    category = unicodedata.category(char)
    return category[0] == "C" or (category[0] == "Z" and char != " ")


def _glob(pattern: str, value: str) -> bool:
    """Whether the whole value is the pattern. Each star takes as little as it can; a later mismatch gives the last one more.

    Not by a regular expression, which many stars make endless.
    """
    at = in_value = 0
    star = -1
    taken = 0
    while in_value < len(value):
        if at < len(pattern) and pattern[at] == "*":
            star, taken, at = at, in_value, at + 1
        elif at < len(pattern) and pattern[at] in {"?", value[in_value]}:
            at, in_value = at + 1, in_value + 1
        elif star >= 0:
            taken += 1
            at, in_value = star + 1, taken
        else:
            return False
    return not pattern[at:].strip("*")


def _lies_in(root: Path, path: str) -> bool:
    if len(path) > MAX_VALUE_CHARS or path.startswith("~"):
        return False
    if not _is_usual(path) or unicodedata.normalize("NFC", path) != path:
        return False  # Grep and Glob come with it as the model wrote it, and then open another one
    named = root / path
    try:  # Grep and Glob take `link/..` for the folder of the link, the system for what lies above its target
        return all(way.resolve().is_relative_to(root) for way in (named, Path(os.path.normpath(named))))
    except (OSError, RuntimeError):  # links in a circle, a name that is too long
        return False


def _unless(doubted: str, judged: Judged) -> Judged:
    """The judgement, where no rule before it may have meant the call; else at best a person's."""
    if doubted and judged.then == "allow":
        return Judged("ask", f"{doubted}, which may mean it")
    return judged
