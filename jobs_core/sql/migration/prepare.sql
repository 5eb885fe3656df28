-- The schema and the record of what was applied. Runs under take_turns: IF NOT EXISTS alone races.
CREATE SCHEMA IF NOT EXISTS {schema};
CREATE TABLE IF NOT EXISTS {schema}.migrations (
    room        text NOT NULL,
    number      integer NOT NULL,
    name        text NOT NULL,
    applied_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (room, number)
)
