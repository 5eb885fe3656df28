"""Fixtures that most tests stand on: one Postgres for each process of a run, a fresh migrated database for each test."""

import os
import uuid
from collections.abc import AsyncIterator, Iterator

import hypothesis
import pytest
import structlog

import simulator
from cli.saved import HAS_READ
from jobs_core import Database
from simulator.client import SimulatorControl
from tests.support.database import TEMPLATE, by_way_of, fresh_database, make_template, quick_folder, run_sql, server
from tests.support.pgbouncer import MISSING, pgbouncer, program
from tests.support.processes import MARK, kill_left
from tests.support.sessions import KEY

os.environ[HAS_READ] = "1"  # commands in this process leave alone what somebody saved in the checkout

hypothesis.settings.register_profile("jobs", deadline=None)  # how long an example takes is the machine's affair
hypothesis.settings.load_profile("jobs")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Most tests can have a PgBouncer before their database: `./jobs test tests/database --pgbouncer`."""
    parser.addoption("--pgbouncer", action="store_true", help="run the tests' databases behind a PgBouncer")


SLOWEST_FIRST = ("e2e", "process", "database", "contract", "unit")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Side by side, hand out the long files first: a file is one process's, and the last one is waited for by all."""
    if hasattr(config, "workerinput"):  # what pytest-xdist gives each of its processes
        items.sort(key=lambda item: SLOWEST_FIRST.index(item.path.relative_to(config.rootpath / "tests").parts[0]))


@pytest.fixture(autouse=True)
def logs_end_with_their_test(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A command that a test runs in this process chooses where logs go; the modules' loggers would keep to that for ever."""
    configure = structlog.configure
    monkeypatch.setattr("structlog.configure", lambda **how: configure(**{**how, "cache_logger_on_first_use": False}))
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def server_dsn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The server all tests share; `TEMPLATE` on it is migrated."""
    with quick_folder(tmp_path_factory.mktemp("postgres")) as folder, server(folder) as dsn:
        make_template(dsn)
        yield dsn
        run_sql(dsn, f"DROP DATABASE {TEMPLATE} WITH (FORCE)")


@pytest.fixture(scope="session")
def entrance(request: pytest.FixtureRequest, server_dsn: str) -> Iterator[str]:
    """The DSN by which tests enter that server: its own, or with --pgbouncer one that leads through a PgBouncer."""
    if not request.config.getoption("--pgbouncer"):
        yield server_dsn
        return
    if not program():
        pytest.skip(MISSING)
    with pgbouncer(server_dsn) as dsn:
        yield dsn


@pytest.fixture
def direct_url(server_dsn: str) -> Iterator[str]:
    """The DSN of a fresh migrated database, whatever the entrance."""
    with fresh_database(server_dsn) as dsn:
        yield dsn


@pytest.fixture
def database_url(direct_url: str, entrance: str, request: pytest.FixtureRequest) -> str:
    """The DSN of that database, by the entrance; of a test marked `direct(why)`, past it."""
    if request.node.get_closest_marker("direct"):
        return direct_url
    return by_way_of(entrance, direct_url)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A pool on a fresh migrated database."""
    async with Database(database_url, name="tests") as pool:
        yield pool


@pytest.fixture(scope="session")
def running_simulator() -> Iterator[SimulatorControl]:
    """A simulator that takes one key."""
    with simulator.running(api_key=KEY) as control:
        yield control


@pytest.fixture
async def sim(running_simulator: SimulatorControl) -> SimulatorControl:
    """The simulator, without scripts or recorded requests."""
    await running_simulator.reset()
    return running_simulator


@pytest.fixture
def mark(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The mark of all that the test starts; nothing of it outlives the test."""
    mark = uuid.uuid4().hex
    monkeypatch.setenv(MARK, mark)
    yield mark
    kill_left(mark)
