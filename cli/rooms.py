"""The rooms that have tables, lower ones first: the order in which they are migrated."""

ROOMS = ("jobs_core", "schedules", "sessions", "assistant", "gateways")
