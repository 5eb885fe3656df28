"""`./jobs role create-sql`, and what `./jobs migrate` tells SQL, on a database that somebody else runs."""

import uuid
from pathlib import Path

from tests.support.database import run_sql
from tests.support.up import Home


def test_a_role_creates_what_migrate_made_known_and_what_it_was_named_for(tmp_path: Path, database_url: str) -> None:
    home = Home(tmp_path)
    assert home.run("migrate", DATABASE_URL=database_url).returncode == 0
    role = f"tests_{uuid.uuid4().hex[:8]}"
    command = ("role", "create-sql", role, "--type", "hello")

    printed = home.run(*command, "--dry-run")
    assert (printed.returncode, printed.stderr) == (0, "")
    assert (printed.stdout[:7], printed.stdout[-10:]) == (
        "BEGIN;\n",
        ";\nCOMMIT;\n",
    )  # all of it or nothing, in psql too
    assert f'GRANT EXECUTE ON FUNCTION "jobs_{role}".create TO "{role}"' in printed.stdout

    unknown = home.run("role", "create-sql", role, "--type", "nope", DATABASE_URL=database_url)
    assert (unknown.returncode, unknown.stderr.startswith("jobs: no job type is called 'nope'")) == (1, True)
    try:
        assert home.run(*command, DATABASE_URL=database_url).stdout.startswith(f"{role} may create hello: ")
        run_sql(database_url, f"SET ROLE {role}; SELECT jobs_{role}.create('hello', '{{\"name\": \"Ada\"}}')")
        run_sql(database_url, printed.stdout)
    finally:
        run_sql(database_url, f"DROP SCHEMA jobs_{role} CASCADE", f"DROP ROLE {role}")
    assert '"job_type": "hello"' in home.run("ls", "--json", DATABASE_URL=database_url).stdout
