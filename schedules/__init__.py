"""Cron rules and their ticks. Nothing yet: a job for one later time is created with `scheduled_for`."""
