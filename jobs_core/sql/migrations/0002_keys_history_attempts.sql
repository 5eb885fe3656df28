-- Keys, suspects that run alone, when to give up, history by retention class and day, and attempts that did not complete.

ALTER TABLE {schema}.jobs
    ADD COLUMN unique_key        text COLLATE "C",
    ADD COLUMN unique_while      text COLLATE "C",  -- unstarted, unfinished
    ADD COLUMN give_up_at        timestamptz,   -- set at the first claim; a run that puts the job back after it ends it
    ADD COLUMN alone             boolean NOT NULL DEFAULT false,  -- a started run was lost: the next has a process of its own
    ADD COLUMN alone_lost_count  integer NOT NULL DEFAULT 0,      -- losses while alone
    -- Postgres reads each CHECK of a table from its text anew at every statement: they were a fifth of an INSERT's time. Tests
    -- put them back (tests/support/database.py), so that what they say holds of every statement that a test runs.
    DROP CONSTRAINT jobs_state_check,
    DROP CONSTRAINT jobs_check,
    DROP CONSTRAINT jobs_check1,
    DROP CONSTRAINT jobs_check2;

-- One job per key. A claim draws a token and a put-back keeps it, so `unstarted` is left for good at the first claim.
CREATE UNIQUE INDEX jobs_unique ON {schema}.jobs (job_type, unique_key)
    WHERE unique_key IS NOT NULL AND (unique_while = 'unfinished' OR token IS NULL);

-- Claims of ordinary workers, and of those that run suspects, look through an index each.
DROP INDEX {schema}.jobs_ready;
CREATE INDEX jobs_ready ON {schema}.jobs (queue, job_type, priority, ready_seq) WHERE ready_seq IS NOT NULL AND NOT alone;
CREATE INDEX jobs_alone ON {schema}.jobs (queue, job_type, priority, ready_seq) WHERE ready_seq IS NOT NULL AND alone;

-- One job per outside event, also after the job ended, for a set time: a partitioned history could not keep it unique.
CREATE TABLE {schema}.job_keys (
    job_type    text COLLATE "C" NOT NULL,
    key         text COLLATE "C" NOT NULL,
    job_id      bigint NOT NULL,
    input_hash  bytea NOT NULL,     -- of the input as jsonb: the same key with another input is an error of its sender
    expires_at  timestamptz NOT NULL,
    PRIMARY KEY (job_type, key)
);
CREATE INDEX job_keys_expiry ON {schema}.job_keys (expires_at);

-- What has ended, by retention class and then by UTC day. Days are made ahead and dropped by upkeep; where one is missing the
-- row goes to its class' default partition, and a settle never fails for it.
ALTER TABLE {schema}.history RENAME TO history_flat;
CREATE TABLE {schema}.history (
    id             bigint NOT NULL,
    job_type       text COLLATE "C" NOT NULL,
    queue          text COLLATE "C" NOT NULL,
    priority       smallint NOT NULL,
    state          text COLLATE "C" NOT NULL CHECK (state IN ('complete', 'failed', 'cancelled')),
    input          jsonb NOT NULL,
    result         jsonb,
    error          text,
    user_id        text,
    task_id        bigint,
    project_id     text,
    lane           text COLLATE "C",
    lane_pos       bigint,
    unique_key     text COLLATE "C",
    scheduled_for  timestamptz,
    worker_id      bigint,
    token          bigint,      -- of the claim that ended it
    retry_count    integer NOT NULL,
    lost_count     integer NOT NULL,
    created_at     timestamptz NOT NULL,
    claimed_at     timestamptz,
    started_at     timestamptz,
    retention      text COLLATE "C" NOT NULL DEFAULT 'standard',
    ended_at       timestamptz NOT NULL DEFAULT clock_timestamp()
) PARTITION BY LIST (retention);
CREATE INDEX history_id ON {schema}.history (id);
CREATE INDEX history_user ON {schema}.history (user_id, id) WHERE user_id IS NOT NULL;
CREATE INDEX history_lane ON {schema}.history (lane, id) WHERE lane IS NOT NULL;
CREATE INDEX history_ended_badly ON {schema}.history (job_type, id) WHERE state <> 'complete';
CREATE TABLE {schema}.history_short PARTITION OF {schema}.history FOR VALUES IN ('short') PARTITION BY RANGE (ended_at);
CREATE TABLE {schema}.history_standard PARTITION OF {schema}.history FOR VALUES IN ('standard') PARTITION BY RANGE (ended_at);
CREATE TABLE {schema}.history_long PARTITION OF {schema}.history FOR VALUES IN ('long') PARTITION BY RANGE (ended_at);
CREATE TABLE {schema}.history_short_default PARTITION OF {schema}.history_short DEFAULT;
CREATE TABLE {schema}.history_standard_default PARTITION OF {schema}.history_standard DEFAULT;
CREATE TABLE {schema}.history_long_default PARTITION OF {schema}.history_long DEFAULT;
DO $$
DECLARE day date;
BEGIN
    -- Before the rows come: a day whose rows lie in the default partition cannot be made any more.
    FOR day IN SELECT DISTINCT (ended_at AT TIME ZONE 'UTC')::date FROM {schema}.history_flat LOOP
        EXECUTE format('CREATE TABLE {schema}.history_standard_%s PARTITION OF {schema}.history_standard '
                       'FOR VALUES FROM (%L) TO (%L)', to_char(day, 'YYYYMMDD'), day::timestamp AT TIME ZONE 'UTC',
                       (day + 1)::timestamp AT TIME ZONE 'UTC');
    END LOOP;
END $$;
INSERT INTO {schema}.history (id, job_type, queue, priority, state, input, result, error, user_id, task_id, project_id, lane,
                              lane_pos, scheduled_for, worker_id, token, retry_count, lost_count, created_at, claimed_at,
                              started_at, ended_at)
SELECT id, job_type, queue, priority, state, input, result, error, user_id, task_id, project_id, lane, lane_pos,
       scheduled_for, worker_id, token, retry_count, lost_count, created_at, claimed_at, started_at, ended_at
FROM {schema}.history_flat;
DROP TABLE {schema}.history_flat;

-- Jobs that left no history, counted by outcome; each worker has rows of its own, so that no two wait for one.
CREATE TABLE {schema}.ended_counts (
    day        date NOT NULL,
    job_type   text COLLATE "C" NOT NULL,
    state      text COLLATE "C" NOT NULL,
    worker_id  bigint NOT NULL,
    n          bigint NOT NULL,
    PRIMARY KEY (day, job_type, state, worker_id)
) WITH (fillfactor = 50);

-- Runs that did not complete, and why; by UTC day, like history.
CREATE TABLE {schema}.attempts (
    job_id      bigint NOT NULL,
    token       bigint NOT NULL,
    worker_id   bigint,
    reason      text COLLATE "C" NOT NULL CHECK (reason IN (
                    'error', 'timeout', 'lost', 'drained', 'snoozed', 'rate_limited', 'budget', 'cancelled')),
    error       text,
    alone       boolean NOT NULL,
    claimed_at  timestamptz,
    started_at  timestamptz,
    ended_at    timestamptz NOT NULL DEFAULT clock_timestamp()
) PARTITION BY RANGE (ended_at);
CREATE INDEX attempts_job ON {schema}.attempts (job_id);
CREATE TABLE {schema}.attempts_default PARTITION OF {schema}.attempts DEFAULT;
