-- Returns today: the UTC day by Postgres' clock, which ended_at is written by, too.
SELECT (clock_timestamp() AT TIME ZONE 'UTC')::date AS today
