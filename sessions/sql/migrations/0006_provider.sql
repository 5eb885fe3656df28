-- How the provider of the models does, as all workers see it: one row, or none so far.
CREATE TABLE {schema}.provider (
    one           boolean PRIMARY KEY DEFAULT true CHECK (one),
    state         text COLLATE "C" NOT NULL CHECK (state IN ('open', 'paused', 'stopped')),
    reason        text,                 -- what it said when it was paused or stopped
    since         timestamptz NOT NULL DEFAULT clock_timestamp(),
    until         timestamptz,          -- when a run may try again
    pauses        integer NOT NULL DEFAULT 0,   -- in a row: each is longer than the last
    failures      integer NOT NULL DEFAULT 0,   -- in a row, of the kind that only several of are the provider's
    succeeded_at  timestamptz,          -- to ten seconds
    prober_job    bigint,               -- whose run tries, now that until is over
    prober_token  bigint,
    CHECK ((state = 'open') = (until IS NULL)),
    CHECK ((prober_job IS NULL) = (prober_token IS NULL)),
    CHECK (state <> 'open' OR prober_job IS NULL)
) WITH (fillfactor = 50);
