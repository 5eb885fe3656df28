"""Dockerfile and docker-compose.yml, each by its own tool. `./jobs drill image` builds the images and runs them."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from cli.settings import CHECKOUT
from tests.support.composed import GIVEN, TOOLS, Refused, ours, services

ROOMS = ("jobs_core", "workers", "schedules", "sessions", "assistant", "handlers", "gateways", "simulator", "cli")


@pytest.fixture(scope="module")
def composed() -> dict[str, Any]:
    return services(**GIVEN)


def test_the_dockerfile_passes_its_linter() -> None:
    ran = subprocess.run(
        [str(TOOLS / "hadolint"), "--no-color", str(CHECKOUT / "Dockerfile")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (0, "")


@pytest.mark.parametrize("missing", GIVEN)
def test_there_is_no_default_secret(missing: str) -> None:
    with pytest.raises(Refused, match=missing):
        services(**{name: value for name, value in GIVEN.items() if name != missing})


def test_only_what_runs_agents_is_given_their_key_and_only_the_web_its_token(composed: dict[str, Any]) -> None:
    def with_variable(name: str) -> set[str]:
        return {service for service, one in composed.items() if name in one.get("environment", {})}

    assert with_variable("ANTHROPIC_API_KEY") == {"agents"}
    assert with_variable("JOBS_TOKEN") == {"web"}


@pytest.mark.parametrize("given", [{}, {"JOBS_HOSTS": "jobs.example.com"}])
def test_prometheus_reaches_the_web_door_whatever_name_is_given_to_it(given: dict[str, str]) -> None:
    """As docs/containers.md says to, for a proxy: the door refuses a Host that it does not know, /metrics included."""
    prometheus = (CHECKOUT / "deploy/prometheus/prometheus.yml").read_text()
    hosts = services(**GIVEN, **given)["web"]["environment"]["JOBS_HOSTS"].split(",")
    assert '"web:8080"' in prometheus
    assert {*filter(None, hosts)} == {"web:8080", *given.values()}


def test_each_of_our_services_is_closed_and_listens_to_this_host_alone(composed: dict[str, Any]) -> None:
    assert len(ours(composed)) == 6
    for one in ours(composed).values():
        assert one["read_only"]
        assert one["cap_drop"] == ["ALL"]
        assert one["security_opt"] == ["no-new-privileges:true"]
    assert {port["host_ip"] for one in composed.values() for port in one.get("ports", ())} == {"127.0.0.1"}


def test_the_files_that_services_are_given_are_there(composed: dict[str, Any]) -> None:
    bound = [
        volume["source"] for one in composed.values() for volume in one.get("volumes", ()) if volume["type"] == "bind"
    ]
    assert [path for path in bound if not Path(path).is_dir()] == []


def test_an_image_holds_all_rooms_and_no_test() -> None:
    kept = {line[1:] for line in (CHECKOUT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert kept == {*ROOMS, "requirements.txt", "requirements-voice.txt", "pyproject.toml"}
