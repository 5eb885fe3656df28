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
