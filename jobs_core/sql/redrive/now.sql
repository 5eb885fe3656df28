-- Returns now, by Postgres' clock, which ended_at is written by, too: a redrive goes no further, or it would redrive what fails
-- again while it goes on.
SELECT clock_timestamp() AS now
