"""Jobs created by the SQL function, by hand; and mutants of the functions it is made of."""

from typing import Any

from jobs_core import Connection, execute, fetch_one


async def create_by_sql(conn: Connection, job_type: str, job_input: str = "{}", **arguments: Any) -> tuple[int, bool]:
    """What `jobs.create` returns: id, met."""
    given = {"job_type": job_type, "input": job_input, **arguments}
    call = ", ".join(f"{name} => %({name})s" for name in given)
    row = await fetch_one(conn, f"SELECT id, met FROM jobs.create({call})", given)
    assert row is not None
    return row["id"], row["met"]


async def mutate(conn: Connection, function: str, *changes: tuple[str, str]) -> None:
    """Change the function in this database: each `old` text is replaced by its `new`; fails where one is not there."""
    row = await fetch_one(conn, f"SELECT pg_get_functiondef('{function}'::regproc) AS text")
    assert row is not None
    text = row["text"]
    for old, new in changes:
        assert old in text, f"the mutant would change nothing: {old}"
        text = text.replace(old, new)
    await execute(conn, text)
