-- What runs say of themselves, and an order in which a watcher may read a job's steps.

-- Notes: a run's log lines, and how far it is. By UTC day, like history and attempts.
CREATE TABLE {schema}.notes (
    job_id   bigint NOT NULL,
    kind     text COLLATE "C" NOT NULL CHECK (kind IN ('log', 'progress')),
    n        bigint NOT NULL,       -- which of the job's of that kind, from 1; what is missing in between was dropped
    token    bigint NOT NULL,       -- of the claim whose run said it
    text     text,
    data     jsonb,
    said_at  timestamptz NOT NULL   -- by Postgres' clock, as the worker that wrote it knew it
) PARTITION BY RANGE (said_at);
-- A note whose write got no answer is written again, with the same number and the same time.
CREATE UNIQUE INDEX notes_job ON {schema}.notes (job_id, kind, n, said_at);
CREATE TABLE {schema}.notes_default PARTITION OF {schema}.notes DEFAULT;

-- Grows with every write of a step. Whoever writes one holds the job's row, and a run writes one after the other, so that what
-- a reader has not seen of a job's steps has a higher number than all it has.
CREATE SEQUENCE {schema}.step_seq;
ALTER TABLE {schema}.steps ADD COLUMN seq bigint NOT NULL DEFAULT 0;
ALTER TABLE {schema}.steps ALTER COLUMN seq SET DEFAULT nextval('{schema}.step_seq');
