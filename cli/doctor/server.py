"""Checks of Postgres: is it there, can it keep the promises as it is set, and does something keep it from clearing up."""

import time

from cli.database import connected
from cli.doctor.check import Finding, Mend, fail, listed, n_of, ok, skipped, warn
from cli.doctor.place import Place
from jobs_core import db, diagnosis
from jobs_core.diagnosis import Pin

_TOO_SHORT_MS = 60_000
"""For a statement or a lock of ours: a night's upkeep on a slow disk takes as long."""
_LISTEN_MS = 600_000
"""A connection that only listens is made anew so often by itself."""
_OF_SCHEDULER = 3
"""Connections; cli/scheduler_process.py."""
_ALTER = "ALTER DATABASE … SET {}, or in postgresql.conf, and reload"


async def postgres(place: Place) -> Finding:
    """Is there a database, and is it new enough?"""
    async with place.look() as conn:
        found = await diagnosis.server(conn)
    version = f"{found.version // 10_000}.{found.version % 10_000}"
    if found.version // 10_000 < db.OLDEST_SERVER:
        return fail(f"this is PostgreSQL {version}", f"upgrade it to {db.OLDEST_SERVER} or newer")
    if found.is_replica or found.given["default_transaction_read_only"] == "on":
        return fail(
            "the server is a replica, or read-only: nothing can be written", "point DATABASE_URL at the primary"
        )
    return ok(f"PostgreSQL {version} answers, and takes writes")


async def durability(place: Place) -> Finding:
    """Is what was acknowledged still there after a crash?"""
    async with place.look() as conn:
        given = (await diagnosis.server(conn)).given
    off = [name for name in ("fsync", "full_page_writes", "synchronous_commit") if given[name] == "off"]
    if off:
        names = " and ".join(off)
        return fail(f"{names} off: a crash loses acknowledged jobs, or the database", f"set {names} to on, and restart")
    return ok("what is acknowledged is on disk")


async def isolation(place: Place) -> Finding:
    """Do transactions see what was committed before each of their statements, as all our locks count on?"""
    async with place.look() as conn:
        level = (await diagnosis.server(conn)).given["default_transaction_isolation"]
    if level != "read committed":
        todo = _ALTER.format("default_transaction_isolation = 'read committed'")
        return fail(f"transactions are {level} by default: lanes strand, and workers get errors", todo)
    return ok("transactions are read committed")


async def autovacuum(place: Place) -> Finding:
    """Are dead rows cleared away, and in time?"""
    async with place.look() as conn:
        given = (await diagnosis.server(conn)).given
        behind = await diagnosis.dead_rows(conn, dead=place.bounds.dead_rows, longer_than_s=place.bounds.vacuum_s)
    off = [name for name in ("autovacuum", "track_counts") if given[name] == "off"]
    if off:
        todo = f"set {' and '.join(off)} to on, and reload"
        return fail(f"{' and '.join(off)} off: the queue slows down with each job that ends", todo)
    switched_off = [row["table"] for row in behind if row["off"]]
    if switched_off:
        todo = f"ALTER TABLE {switched_off[0]} RESET (autovacuum_enabled)"
        return fail(f"autovacuum is switched off for {listed(switched_off)}", todo)
    if behind:
        tables = listed([f"{row['table']} ({row['dead']:,})" for row in behind])
        return warn(
            f"vacuum is behind, dead rows pile up in {tables}",
            f"see what pins them (./jobs doctor --only snapshots); then VACUUM {behind[0]['table']}",
        )
    return ok("dead rows are cleared away")


async def timeouts(place: Place) -> Finding:
    """Does a timeout of the server cut off what must go on, and is a line that is dead noticed?"""
    async with place.look() as conn:
        found = await diagnosis.server(conn)
        pooled = conn.pooled
    short = {"statement_timeout": _TOO_SHORT_MS, "lock_timeout": _TOO_SHORT_MS, "transaction_timeout": _TOO_SHORT_MS}
    for name, least_ms in {**short, "idle_session_timeout": _LISTEN_MS}.items():
        given_ms = int(found.given.get(name, "0"))  # a newer server has more of them
        if 0 < given_ms < least_ms:
            text = f"{name} is {given_ms / 1000:g} s for this role: connections or work of ours are cut off"
            return warn(text, _ALTER.format(f"{name} = 0"))
    if pooled:
        return ok("no timeout cuts off what must go on; a pooler has bounds of its own (docs/pgbouncer.md)")
    if found.ours["idle_in_transaction_session_timeout"] == "0":
        return warn(
            "idle_in_transaction_session_timeout cannot be set: a frozen worker holds its rows for ever",
            "let this role set it",
        )
    if found.ours["tcp_user_timeout"] == "0" and not found.by_socket:
        return warn(
            "the server's system has no tcp_user_timeout: a lost worker's locks are held until keepalives fail",
            "set tcp_keepalives_idle and tcp_keepalives_count low on the server",
        )
    return ok("no timeout cuts off what must go on, and a dead line is noticed")


async def connections(place: Place) -> Finding:
    """Are there connections enough for the processes?"""
    async with place.look() as conn:
        found = await diagnosis.server(conn)
        if conn.pooled:
            return skipped("a pooler shares them out: its own sizes count (docs/pgbouncer.md)")
    each = place.core.database_connections
    workers = (place.folder.running() and place.folder.processes()) or place.settings.processes
    wanted = workers * (each + 2) + 2 * each + _OF_SCHEDULER
    told = f"{workers} workers of {each + 2}, web and telegram of {each}, the scheduler of {_OF_SCHEDULER}"
    if found.free < 2:  # noqa: PLR2004 - this check has one, and somebody wants the next
        return fail(
            f"{found.most - found.free} of {found.most} connections are taken",
            "raise max_connections, or end programs that keep some",
        )
    if found.most < wanted:
        return warn(
            f"{found.most} connections are allowed, and {wanted} may be wanted here: {told}",
            "raise max_connections (or the role's, or database's, CONNECTION LIMIT), or lower JOBS_DATABASE_CONNECTIONS",
        )
    return ok(f"{found.most} connections are allowed, {found.free} are free, {wanted} may be wanted here")


async def pooler(place: Place) -> Finding:
    """Behind a pooler, is there a way past it for those who listen, and does it lead to the same database?"""
    direct_url = place.core.database_direct_url
    async with place.look() as conn:
        if direct_url:
            async with connected(direct_url, "DATABASE_DIRECT_URL") as direct:
                await db.check_direct(conn, direct)
            return ok("listeners and leases go past the pooler, to the same database")
        if conn.pooled:
            return warn(
                "DATABASE_URL leads through a pooler: nobody hears of new jobs, workers look each second",
                "set DATABASE_DIRECT_URL to the server's own address (docs/pgbouncer.md)",
            )
    return ok("no pooler stands before the server")


async def clock(place: Place) -> Finding:
    """Do this host and Postgres agree about the time?"""
    async with place.look() as conn:
        await diagnosis.server(conn)  # the first one on a connection takes longer
        before = time.time()
        at = (await diagnosis.server(conn)).at
        took_s = time.time() - before
    ahead_s = before + took_s / 2 - at.timestamp()
    if abs(ahead_s) > place.bounds.clock_s + took_s:
        way = "ahead of" if ahead_s > 0 else "behind"
        return warn(
            f"this host's clock is {abs(ahead_s):.0f} s {way} Postgres', whose clock decides what is due",
            "let NTP set both",
        )
    return ok(f"this host and Postgres agree to {abs(ahead_s) + took_s:.1f} s")


async def snapshots(place: Place) -> Finding:
    """Does an old transaction, or a slot that nobody reads, keep dead rows from being cleared away?"""
    async with place.look() as conn:
        found = await diagnosis.pins(conn, longer_than_s=place.bounds.transaction_s)
    if not found:
        return ok(f"no transaction is older than {place.bounds.transaction_s / 60:g} min")
    sessions = [pin for pin in found if pin.kind == "session"]
    return warn(
        f"dead rows are not cleared away, because of {listed([_told(pin) for pin in found])}",
        "end it, or let it end" if sessions else _LEFT_BEHIND[found[0].kind],
        _ending(sessions) if sessions else None,
    )


_LEFT_BEHIND = {
    "prepared": "COMMIT PREPARED or ROLLBACK PREPARED it: who prepared it knows which",
    "slot": "have its reader come back, or pg_drop_replication_slot it",
}


def _told(pin: Pin) -> str:
    if pin.kind == "slot":
        return f"replication slot {pin.name}, which nobody reads"
    what = f"session {pin.pid} ({pin.name})" if pin.kind == "session" else f"prepared transaction {pin.name}"
    return f"{what}, open for {(pin.for_s or 0) / 60:.0f} min"


def _ending(sessions: list[Pin]) -> Mend:
    async def end(place: Place) -> str:
        async with place.write() as conn:
            ended = [pin.pid for pin in sessions if await diagnosis.end_session(conn, pin)]
        return f"ended {len(ended)} of {n_of(len(sessions), 'session')}; what they had not committed is undone"

    pids = ", ".join(str(pin.pid) for pin in sessions)
    return Mend(f"end the sessions {pids}, and undo what they have not committed", end, asks=True)
