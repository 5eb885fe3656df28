"""Log lines: what of an error is shown, and what never is."""

import json
from collections.abc import Iterator

import pytest
import structlog

from jobs_core.log import set_up_logs
from jobs_core.settings import CoreSettings

SECRET = "what somebody said"


class Postgres23514(Exception):
    """An error with a Postgres code."""

    sqlstate = "23514"


@pytest.fixture(autouse=True)
def logs_of_the_other_tests() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def broken(error: Exception) -> None:
    raise error


def line_of(error: Exception, capsys: pytest.CaptureFixture[str], log_format: str) -> str:
    """The line that a logged exception makes on stderr."""
    set_up_logs(CoreSettings.read(log_format=log_format, log_level="info"))
    try:
        broken(error)
    except type(error) as raised:
        structlog.get_logger().warning("handler.raised", exc_info=raised, job_id=7)
    out, line = capsys.readouterr()
    assert out == "", "stdout is a command's answer"
    return line


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_an_error_is_logged_by_its_type_and_place_never_by_its_text(
    capsys: pytest.CaptureFixture[str], log_format: str
) -> None:
    line = line_of(ValueError(SECRET), capsys, log_format)
    assert SECRET not in line
    for shown in ("handler.raised", "ValueError", "test_log.py", "broken"):
        assert shown in line


def test_a_log_line_is_one_json_object_with_the_code_postgres_gave(capsys: pytest.CaptureFixture[str]) -> None:
    line = line_of(Postgres23514(SECRET), capsys, "json")
    event = json.loads(line)
    assert (event["event"], event["job_id"], event["level"]) == ("handler.raised", 7, "warning")
    assert event["error"] == "Postgres23514 23514"
    assert SECRET not in line


def test_an_error_under_way_is_found_without_being_named(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs(CoreSettings.read(log_format="json"))
    try:
        broken(KeyError(SECRET))
    except KeyError:
        structlog.get_logger().exception("run.broke")
    line = capsys.readouterr().err
    assert json.loads(line)["error"] == "KeyError"
    assert SECRET not in line


def test_what_is_below_the_level_is_not_logged(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs(CoreSettings.read(log_format="json", log_level="warning"))
    log = structlog.get_logger()
    log.info("run.settled")
    log.warning("run.lost")
    assert json.loads(capsys.readouterr().err)["event"] == "run.lost"
