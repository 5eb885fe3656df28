"""docs/testing.md and docs/library.md show code that runs, and the wheel asks for what its rooms import."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
EXAMPLES = CHECKOUT / "examples"
ROOMS = ("jobs_core", "workers", "schedules")
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def imported() -> set[str]:
    """The distributions that the wheel's rooms import from."""
    found = set[str]()
    for room in ROOMS:
        for file in (CHECKOUT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    found |= {alias.name.partition(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module:
                    found.add(node.module.partition(".")[0])
    others = found - set(ROOMS) - sys.stdlib_module_names
    return {normal(packages_distributions()[name][0]) for name in others}


def test_the_wheel_depends_on_exactly_what_its_rooms_import() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = {normal(re.split(r"[\[><=;]", line)[0]) for line in project["dependencies"]}
    assert named == imported()


def test_no_command_comes_with_the_wheel() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert not {"scripts", "gui-scripts", "entry-points"} & project.keys()


@pytest.mark.parametrize("page", ["testing.md", "library.md"])
def test_the_code_on_the_page_is_the_examples(page: str) -> None:
    """tests/process/test_library.py runs them."""
    blocks = BLOCK.findall((CHECKOUT / "docs" / page).read_text(encoding="utf-8"))
    assert len(blocks) > 4
    sources = [file.read_text(encoding="utf-8") for file in EXAMPLES.rglob("*.py")]
    shown_nowhere = [block for block in blocks if not any(block in source for source in sources)]
    assert not shown_nowhere
