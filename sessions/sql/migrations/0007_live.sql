-- What is shown of running turns while they run, for an hour: the answer itself stands elsewhere, durably.
-- Unlogged: rows cost no WAL and no replica's attention, and after a crash of Postgres the table is empty, which loses nothing but
-- the view of a run (docs/decisions/0022).
CREATE UNLOGGED TABLE {schema}.live_events (
    topic    text COLLATE "C" NOT NULL,     -- what watchers ask by: a chat
    token    bigint NOT NULL,               -- of the claim whose run said it: the later of two runs has the higher one
    seq      bigint NOT NULL,               -- grows with each write of that run
    turn_id  uuid NOT NULL,
    events   text NOT NULL,                 -- a JSON array; text, not jsonb, for it may hold \u0000
    said_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (topic, token, seq)
);
-- What is old enough to go.
CREATE INDEX live_events_said ON {schema}.live_events (said_at);
