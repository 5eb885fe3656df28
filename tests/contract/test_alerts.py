"""deploy/prometheus: the alarms fire when they should and stay silent when not, of metrics and commands that there are."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from cli.app import app
from tests.contract.test_metrics_page import documented

CHECKOUT = Path(__file__).resolve().parents[2]
FOLDER, PAGE = CHECKOUT / "deploy" / "prometheus", CHECKOUT / "docs" / "metrics.md"
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"] for rule in group["rules"]
]
TRIED = yaml.safe_load((FOLDER / "alerts_test.yml").read_text())["tests"]
METRIC = re.compile(r"\b(?:jobs_\w+|up)\b")
COMMAND = re.compile(r"\./jobs ([a-z]+)(?: ([a-z]+))?")

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is missing: it comes with Debian's package prometheus"
)


def promtool(*arguments: str, folder: Path = FOLDER) -> subprocess.CompletedProcess[str]:
    command = ["promtool", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)


@needs_promtool
def test_prometheus_takes_the_configuration_and_the_alarms() -> None:
    checked = promtool("check", "config", "prometheus.yml")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"{len(RULES)} rules found" in checked.stdout


@needs_promtool
def test_alarms_fire_when_they_should_and_not_before() -> None:
    tried = promtool("test", "rules", "alerts_test.yml")
    assert tried.returncode == 0, tried.stdout + tried.stderr


@needs_promtool
@pytest.mark.parametrize("expr", ["vector(1)", "vector(1) < 0"], ids=["always", "never"])
def test_an_alarm_that_fires_always_or_never_is_noticed(tmp_path: Path, expr: str) -> None:
    """Of each alarm both are tried: that it fires, and that it is silent."""
    rules = [{**rule, "expr": expr, "for": "0m"} for rule in RULES]
    (tmp_path / "alerts.yml").write_text(yaml.safe_dump({"groups": [{"name": "jobs", "rules": rules}]}))
    shutil.copy(FOLDER / "alerts_test.yml", tmp_path)
    tried = promtool("test", "rules", "alerts_test.yml", folder=tmp_path)
    noticed = set(re.findall(r'alertname=\\?"(\w+)', tried.stdout + tried.stderr))
    assert noticed == {rule["alert"] for rule in RULES}


def test_every_alarm_is_tried_and_says_what_to_do() -> None:
    assert {test["name"] for test in TRIED} == {rule["alert"] for rule in RULES}
    for rule in RULES:
        assert rule["annotations"].keys() == {"summary", "runbook"}, rule["alert"]
        assert rule["labels"]["severity"] in {"critical", "warning"}, rule["alert"]


def test_the_page_lists_the_alarms_as_they_are() -> None:
    listed = re.findall(r"^\| `(Jobs\w+)` \((\w+)\) \| .+ \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert listed == [(rule["alert"], rule["labels"]["severity"]) for rule in RULES]


def test_alarms_look_at_metrics_that_there_are() -> None:
    known = {"up", *documented()}
    for rule in RULES:
        assert METRIC.findall(rule["expr"])
        assert set(METRIC.findall(rule["expr"])) <= known, rule["alert"]


def test_runbooks_name_commands_that_there_are() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]  # a group has them
    named = [match for rule in RULES for match in COMMAND.findall(rule["annotations"]["runbook"])]
    assert named
    for name, verb in named:
        assert name in commands
        verbs = getattr(commands[name], "commands", {})
        assert not verb or not verbs or verb in verbs, (name, verb)
