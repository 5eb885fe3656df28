"""A role that may create jobs of given types: that it may, and that there is nothing else it can do."""

import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from jobs_core import (
    ConfigurationError,
    Connection,
    InvalidInput,
    Jobs,
    JobType,
    NewJob,
    db,
    execute,
    fetch,
    sql_create,
)
from jobs_core.declare import declare_types
from jobs_core.roles import let_create, may_create_sql
from tests.support.database import run_sql
from tests.support.job_types import LANE_NOTE, NOTE, Note
from tests.support.sql_create import mutate

ODD = JobType('it\'s \\ "odd" {role}', Note)
Refused = psycopg.errors.InsufficientPrivilege

RIGHTS = """
SELECT format('table %%s', oid::regclass) AS right FROM pg_class
WHERE relnamespace = 'jobs'::regnamespace AND relkind IN ('r', 'p', 'v', 'm')
  AND (has_table_privilege(%(role)s, oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
       OR has_any_column_privilege(%(role)s, oid, 'SELECT, INSERT, UPDATE, REFERENCES'))
UNION ALL
SELECT format('sequence %%s', oid::regclass) FROM pg_class
WHERE relnamespace = 'jobs'::regnamespace
  AND CASE WHEN relkind = 'S' THEN has_sequence_privilege(%(role)s, oid, 'USAGE, SELECT, UPDATE') END
UNION ALL
SELECT format('function %%s', oid::regproc) FROM pg_proc
WHERE pronamespace::regnamespace::text NOT IN ('pg_catalog', 'information_schema')
  AND has_function_privilege(%(role)s, oid, 'EXECUTE') AND has_schema_privilege(%(role)s, pronamespace, 'USAGE')
UNION ALL
SELECT format('%%s in schema %%s', what, nspname) FROM pg_namespace, unnest(ARRAY['USAGE', 'CREATE']) AS what
WHERE nspname NOT IN ('pg_catalog', 'information_schema', 'public') AND has_schema_privilege(%(role)s, oid, what)
UNION ALL
SELECT 'database ' || what FROM unnest(ARRAY['CREATE']) AS what WHERE has_database_privilege(%(role)s, current_database(), what)
UNION ALL
SELECT 'attributes' FROM pg_roles
WHERE rolname = %(role)s AND (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls)
UNION ALL
SELECT 'member of ' || roleid::regrole FROM pg_auth_members WHERE member = %(role)s::regrole
"""


@pytest.fixture
def role(server_dsn: str, database_url: str) -> Iterator[str]:
    """A name that no role has yet, and none after; roles are the whole server's."""
    name = f"tests_{uuid.uuid4().hex[:8]}"
    yield name
    gone = (
        f"DO $$ BEGIN IF to_regrole('{name}') IS NOT NULL THEN DROP OWNED BY {name}; DROP ROLE {name}; END IF; END $$"
    )
    run_sql(database_url, gone)


@pytest.fixture
async def theirs(conn: Connection, jobs: Jobs, database_url: str, role: str) -> AsyncIterator[Connection]:
    """A login of the role, which may create notes."""
    jobs.table.declare(ODD)
    await declare_types(conn, jobs.table.job_types)
    await let_create(conn, role, ["note", ODD.name])
    await execute(conn, f"ALTER ROLE {role} LOGIN PASSWORD 'theirs'")
    async with await db.connect(as_role(database_url, role), name="theirs") as connection:
        yield connection


def as_role(dsn: str, role: str) -> str:
    parts = urlsplit(dsn)
    return urlunsplit(parts._replace(netloc=f"{role}:theirs@{parts.netloc.rpartition('@')[2]}"))


async def create(theirs: Connection, role: str, job_type: str = "note", **arguments: object) -> tuple[int, bool]:
    given = {"job_type": job_type, **arguments}
    call = ", ".join(f"{name} => %({name})s" for name in given)
    (row,) = await fetch(theirs, f"SELECT id, met FROM jobs_{role}.create({call})", given)
    return row["id"], row["met"]


async def test_it_creates_jobs_of_its_types_and_meets_them(theirs: Connection, conn: Connection, role: str) -> None:
    first = await create(theirs, role, unique_key="k", user_id="ada")
    assert await create(theirs, role, unique_key="k") == (first[0], True)
    await create(theirs, role, ODD.name)
    call = sql_create(NewJob(NOTE, {"text": "x"}), placeholder="%(job)s", role=role)
    await execute(theirs, call.sql, {"job": call.job})
    minute = timedelta(minutes=1)
    last = await create(theirs, role, unique_key="l", debounce=minute, debounce_at_most=minute)
    call = sql_create(
        NewJob(NOTE, {"text": "y"}, unique_key="l", debounce=minute, debounce_at_most=minute),
        placeholder="%(job)s",
        role=role,
    )
    assert await fetch(theirs, call.sql, {"job": call.job}) == [{"id": last[0], "met": True}]
    rows = await fetch(conn, "SELECT job_type, input ->> 'text' AS text FROM jobs.jobs ORDER BY id")
    assert [tuple(row.values()) for row in rows] == [("note", None), (ODD.name, None), ("note", "x"), ("note", "y")]


async def test_a_role_that_was_made_when_create_had_fewer_arguments_is_made_anew(
    theirs: Connection, conn: Connection, role: str
) -> None:
    old = (
        f"DROP FUNCTION jobs_{role}.create; CREATE FUNCTION jobs_{role}.create(job_type text, user_id text DEFAULT NULL, "
        "OUT id bigint, OUT met boolean) SECURITY DEFINER LANGUAGE sql AS 'SELECT id, met FROM jobs.create(job_type)'"
    )
    await conn.execute(old.encode())
    await let_create(conn, role, ["note"])
    assert (await create(theirs, role))[1] is False


@pytest.mark.parametrize("job_type", ["brief_note", "lane_note", "unheard of", None])
async def test_it_creates_no_other_types(theirs: Connection, conn: Connection, role: str, job_type: str) -> None:
    with pytest.raises(Refused, match=f"^job_type: role {role} may not create jobs of type") as refused:
        await create(theirs, role, job_type)
    assert refused.value.diag.column_name == "job_type"
    assert await fetch(conn, "SELECT FROM jobs.jobs") == []


async def test_what_the_function_refuses_it_refuses_here_too(theirs: Connection, role: str) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue, match=r"^priority: "):
        await create(theirs, role, priority=7)


async def test_it_has_one_right_and_no_other(theirs: Connection, conn: Connection, role: str) -> None:
    rights = await fetch(conn, RIGHTS, {"role": role})
    assert {row["right"] for row in rights} == {f'function jobs_{role}."create"', f"USAGE in schema jobs_{role}"}


async def test_who_may_only_use_the_queues_schema_may_not_create_either(conn: Connection) -> None:
    """A role for reports, say, that was given USAGE and SELECT: functions are everybody's unless it is said otherwise."""
    everybodys = await fetch(
        conn,
        "SELECT proname FROM pg_proc "
        "WHERE pronamespace = 'jobs'::regnamespace AND has_function_privilege('public', oid, 'EXECUTE')",
    )
    ours = {
        "refuse",
        "check_name",
        "check_input",
        "fitted",
        "add_job",
        "job_of_event",
        "job_that_holds",
        "take_key",
        "check_debounce",
        "put_off",
        "create",
    }
    assert ours & {row["proname"] for row in everybodys} == set()


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM jobs.jobs",
        "SELECT * FROM jobs.history",
        "SELECT name FROM jobs.job_types",
        "INSERT INTO jobs.job_types SELECT 'mine', 'default', 2, false, false, 'unfinished', 1",
        "DELETE FROM jobs.jobs",
        "UPDATE jobs.jobs SET priority = 0",
        "SELECT nextval('jobs.ready_seq')",
        "SELECT jobs.create('note')",
        "SELECT jobs.refuse('a', 'b')",
        "SELECT jobs.add_job(NULL)",
        "CREATE TABLE jobs.mine ()",
        "CREATE TABLE jobs_{role}.mine ()",
        "CREATE OR REPLACE FUNCTION jobs_{role}.create(text) RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE FUNCTION jobs_{role}.more() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "ALTER FUNCTION jobs_{role}.create RESET search_path",
        "ALTER FUNCTION jobs_{role}.create OWNER TO {role}",
        "GRANT EXECUTE ON FUNCTION jobs_{role}.create TO PUBLIC",
        "CREATE SCHEMA mine",
        "CREATE ROLE mine",
        "ALTER ROLE {role} SUPERUSER",
        "SET SESSION AUTHORIZATION {owner}",
        "COPY jobs.jobs TO STDOUT",
        "COPY (SELECT 1) TO PROGRAM 'true'",
    ],
)
async def test_whatever_else_it_tries_is_refused(
    theirs: Connection, conn: Connection, role: str, statement: str
) -> None:
    statement = statement.replace("{role}", role).replace("{owner}", conn.info.user)
    if statement.startswith("GRANT"):  # which Postgres answers with a warning, where nothing could be granted
        await theirs.execute(statement)
        granted = f"SELECT has_function_privilege('public', 'jobs_{role}.create'::regproc, 'EXECUTE') AS granted"
        assert await fetch(theirs, granted) == [{"granted": False}]
        return
    with pytest.raises(Refused):
        await theirs.execute(statement)


async def look_through_our_eyes(theirs: Connection, conn: Connection, role: str) -> bool:
    """Whether a function of the role's own making, put in the place of an operator, runs with our rights in the call."""
    await conn.execute(f"CREATE SCHEMA mine AUTHORIZATION {role}")
    for statement in (
        "CREATE TABLE mine.loot (who name)",
        """CREATE FUNCTION mine.differs(text, text) RETURNS boolean LANGUAGE plpgsql AS $$
        BEGIN INSERT INTO mine.loot VALUES (current_user); RETURN false; END $$""",
        "CREATE OPERATOR mine.<> (FUNCTION = mine.differs, LEFTARG = text, RIGHTARG = text)",
        "SET search_path = mine, pg_catalog",
    ):
        await theirs.execute(statement)
    for job_type in ("note", "brief_note"):
        try:
            await create(theirs, role, job_type)
        except psycopg.Error:
            continue
    return bool(await fetch(theirs, "SELECT FROM mine.loot WHERE who <> current_user"))


@pytest.mark.direct("sets what lasts a session")
async def test_its_search_path_puts_nothing_of_its_own_into_the_function(
    theirs: Connection, conn: Connection, role: str
) -> None:
    assert not await look_through_our_eyes(theirs, conn, role)


@pytest.mark.direct("sets what lasts a session")
async def test_with_the_callers_search_path_its_own_operators_would_run_with_our_rights(
    theirs: Connection, conn: Connection, role: str
) -> None:
    await conn.execute(f"ALTER FUNCTION jobs_{role}.create RESET search_path")
    assert await look_through_our_eyes(theirs, conn, role)


async def test_without_the_check_it_would_create_other_types(theirs: Connection, conn: Connection, role: str) -> None:
    await mutate(conn, f"jobs_{role}.create", ("job_type IS NULL OR job_type <> ALL", "false AND job_type <> ALL"))
    await create(theirs, role, "brief_note")


@pytest.mark.direct("sets what lasts a session")
async def test_its_members_and_who_becomes_it_have_its_types_and_nobody_else(
    theirs: Connection, conn: Connection, role: str
) -> None:
    """Also a session that began as a superuser: no name of a session is looked at, only what Postgres lets this role call."""
    await execute(conn, f"SET ROLE {role}")
    await create(conn, role)
    with pytest.raises(Refused):
        await create(conn, role, "brief_note")
    with pytest.raises(Refused):
        await execute(conn, "SELECT jobs.create('note')")
    await execute(conn, "RESET ROLE")
    async with conn.transaction(force_rollback=True):
        await execute(conn, f"CREATE ROLE {role}_other; SET LOCAL ROLE {role}_other")
        with pytest.raises(Refused, match=f"permission denied for schema jobs_{role}"):
            await create(conn, role)


async def test_named_again_it_has_the_new_types_only(theirs: Connection, conn: Connection, role: str) -> None:
    await let_create(conn, role, ["brief_note"])
    await create(theirs, role, "brief_note")
    with pytest.raises(Refused):
        await create(theirs, role, "note")


async def test_a_role_with_rights_in_the_queue_is_refused_and_nothing_of_it_made(conn: Connection, role: str) -> None:
    await execute(conn, f"CREATE ROLE {role}; GRANT USAGE ON SCHEMA jobs TO {role}")
    with pytest.raises(ConfigurationError, match=f"role {role} was not made .*has rights in the schema of the queue"):
        await let_create(conn, role, ["note"])
    assert await fetch(conn, f"SELECT FROM pg_namespace WHERE nspname = 'jobs_{role}'") == []


async def test_a_schema_of_somebody_elses_is_not_used(conn: Connection, role: str) -> None:
    await execute(conn, f"CREATE ROLE {role}; CREATE SCHEMA jobs_{role} AUTHORIZATION {role}")
    with pytest.raises(ConfigurationError, match=f"schema jobs_{role} belongs to somebody else"):
        await let_create(conn, role, ["note"])


async def test_a_schema_that_holds_more_than_the_function_is_not_used(conn: Connection, role: str) -> None:
    """It may be the queue of another program, whose own `create` would be replaced."""
    await execute(conn, f"CREATE SCHEMA jobs_{role}")
    await execute(conn, f"CREATE TABLE jobs_{role}.jobs (id bigint)")
    with pytest.raises(ConfigurationError, match=f"schema jobs_{role} holds tables, so it is somebody else's"):
        await let_create(conn, role, ["note"])


@pytest.mark.parametrize("reserved", ["public", "none"])
async def test_a_name_that_postgres_keeps_for_itself_is_refused_in_one_line(conn: Connection, reserved: str) -> None:
    with pytest.raises(ConfigurationError, match=f'role {reserved} was not made .role name "{reserved}" is reserved'):
        await let_create(conn, reserved, ["note"])


async def test_who_may_not_make_roles_is_told_in_one_line(theirs: Connection, role: str) -> None:
    with pytest.raises(ConfigurationError, match=r"permission denied.*have who may do it run what --dry-run prints"):
        await let_create(theirs, f"{role}x", ["note"])


@pytest.mark.parametrize("name", ["", "Role", "pg_x", "a b", 'a"b', "a;b", "1st", "a{role}", "r" * 59], ids=repr)
def test_a_role_with_no_plain_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match=r"^role: .* is not a plain name"):
        may_create_sql(name, ["note"])


@pytest.mark.parametrize("job_types", [[], ["$create$"]])
def test_types_that_cannot_be_written_into_a_function_are_refused(job_types: list[str]) -> None:
    with pytest.raises(InvalidInput, match=r"^job_types: "):
        may_create_sql("billing", job_types)


def test_a_lane_type_is_a_type_like_others() -> None:
    assert f"'{LANE_NOTE.name}'" in may_create_sql("billing", [NOTE.name, LANE_NOTE.name])
