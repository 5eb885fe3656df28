"""All checks, in the order in which they are shown.

A new one is a function that looks and returns a Finding, and a line here.
"""

from cli.doctor import doors, fleet, host, queue, server
from cli.doctor.check import Check

CHECKS = (
    Check("settings", host.settings),
    Check("cli", host.cli, within_s=30),
    Check("credentials", host.credentials, needs="cli", within_s=90),
    Check("workspaces", host.workspaces),
    Check("disk", host.disk),
    Check("voice", host.voice),
    Check("postgres", server.postgres),
    Check("durability", server.durability, needs="postgres"),
    Check("isolation", server.isolation, needs="postgres"),
    Check("timeouts", server.timeouts, needs="postgres"),
    Check("connections", server.connections, needs="postgres"),
    Check("pooler", server.pooler, needs="postgres"),
    Check("clock", server.clock, needs="postgres"),
    Check("autovacuum", server.autovacuum, needs="postgres"),
    Check("snapshots", server.snapshots, needs="postgres"),
    Check("privileges", queue.privileges, needs="postgres"),
    Check("schema", queue.schema, needs="privileges"),
    Check("upkeep", queue.upkeep, needs="schema"),
    Check("schedules", queue.schedules, needs="schema"),
    Check("workers", fleet.workers, needs="schema"),
    Check("guard", fleet.guard, needs="schema"),
    Check("listeners", fleet.listeners, needs="schema"),
    Check("lanes", queue.lanes, needs="schema"),
    Check("unserved", queue.unserved, needs="workers"),
    Check("telegram", doors.telegram, needs="schema"),
)
