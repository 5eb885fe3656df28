-- Lanes that are held, and jobs that would rather run where the last one of their key did.

-- A held lane has head_pos 0, which is no job's position: whatever creates, joins or promotes compares with it, and finds that
-- no job is the head. (lane/hold, lane/hold_failed, lane/let_go)
ALTER TABLE {schema}.lanes
    ADD COLUMN held_at      timestamptz,    -- null: it is not held
    ADD COLUMN held_by      text,           -- a person, or the job that failed
    ADD COLUMN held_reason  text,
    ADD COLUMN held_job     bigint;         -- the job that failed; null: none did, somebody holds it by hand
CREATE INDEX lanes_held ON {schema}.lanes (lane) WHERE held_at IS NOT NULL;

-- Whether a failed job of the type holds its lane: for whoever ends a job whose code it does not know (job/crashed).
ALTER TABLE {schema}.job_types ADD COLUMN holds_lane boolean NOT NULL DEFAULT false;

-- Which worker started the last run of a key; a hint, and no fence: whoever is dead by now is passed by.
CREATE TABLE {schema}.sticky_keys (
    key        text COLLATE "C" PRIMARY KEY,
    worker_id  bigint NOT NULL,
    ran_at     timestamptz NOT NULL DEFAULT clock_timestamp()   -- moved on once a minute at most
) WITH (fillfactor = 50);

ALTER TABLE {schema}.jobs
    ADD COLUMN sticky_key        text COLLATE "C",
    ADD COLUMN sticky_s          double precision,  -- for how long it waits for that worker
    -- Whom it waits for: nobody else may claim it before scheduled_for, and then anybody. Null: it waits for no worker, any more.
    ADD COLUMN preferred_worker  bigint;
