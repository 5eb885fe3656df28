-- Schedules, and the ticks for which they have created jobs.

CREATE TABLE {schema}.schedules (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name             text COLLATE "C" NOT NULL UNIQUE,
    job_type         text COLLATE "C" NOT NULL,
    input            jsonb NOT NULL,
    user_id          text,
    zone             text NOT NULL,               -- an IANA name
    cron             text,
    every_s          integer,
    anchor           timestamptz,                 -- what every_s counts from
    at               timestamptz,
    jitter_s         integer NOT NULL,
    missed           text NOT NULL CHECK (missed IN ('skip', 'once', 'all')),
    missed_max       integer NOT NULL,
    missed_window_s  integer,
    overlap          text NOT NULL CHECK (overlap IN ('skip', 'queue', 'cancel')),
    source           text COLLATE "C" NOT NULL,   -- who made it what it is: api, cli, file:…, agent:…
    paused_at        timestamptz,
    paused_why       text,
    failures         integer NOT NULL DEFAULT 0,  -- of its jobs, since the last one that completed
    seen_until       timestamptz NOT NULL,        -- ticks up to here are decided
    next_at          timestamptz,                 -- of the next tick; null: paused, or there is none
    created_at       timestamptz NOT NULL DEFAULT now(),
    changed_at       timestamptz NOT NULL DEFAULT now(),
    CHECK (num_nonnulls(cron, every_s, at) = 1),
    CHECK ((every_s IS NULL) = (anchor IS NULL)),
    CHECK ((paused_at IS NULL) = (paused_why IS NULL)),
    CHECK (paused_at IS NULL OR next_at IS NULL)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_cost_delay = 0);

-- What evaluators look through, each for the job types that it knows.
CREATE INDEX schedules_due ON {schema}.schedules (job_type, next_at) WHERE next_at IS NOT NULL;
CREATE INDEX schedules_of_user ON {schema}.schedules (user_id, name) WHERE user_id IS NOT NULL;

CREATE TABLE {schema}.schedule_ticks (
    schedule_id  bigint NOT NULL REFERENCES {schema}.schedules ON DELETE CASCADE,
    slot         text COLLATE "C" NOT NULL,       -- the wall time, or the moment, that names it
    due_at       timestamptz NOT NULL,
    made_at      timestamptz NOT NULL DEFAULT now(),
    job_id       bigint,                          -- null: none was created, `outcome` says why
    outcome      text COLLATE "C",                -- null: its job has not been seen to have ended
    error        text,
    PRIMARY KEY (schedule_id, slot),
    CHECK (outcome IN ('complete', 'failed', 'cancelled', 'gone', 'overlapped', 'refused')),
    CHECK (job_id IS NOT NULL OR outcome IS NOT NULL)
);
-- Jobs whose ends an evaluator looks for when their schedule is due again; and what is old enough to go.
CREATE INDEX schedule_ticks_open ON {schema}.schedule_ticks (schedule_id, job_id) WHERE outcome IS NULL;
CREATE INDEX schedule_ticks_made ON {schema}.schedule_ticks (made_at);
