-- Durable steps, waits for events, times and children, and cancel.

ALTER TABLE {schema}.jobs
    ADD COLUMN parent_id      bigint,
    ADD COLUMN wait_event     text COLLATE "C",   -- what a waiting job waits for; null: for a time only
    ADD COLUMN wait_until     timestamptz,        -- when it goes on whatever happened; null: never
    ADD COLUMN waiting_since  timestamptz;
ALTER TABLE {schema}.history ADD COLUMN parent_id bigint;

-- Events by name: one that is awaited or was emitted. The first emit wins, and stays.
CREATE TABLE {schema}.events (
    name        text COLLATE "C" PRIMARY KEY,
    payload     jsonb,
    emitted_at  timestamptz,    -- null: awaited so far
    made_at     timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX events_made ON {schema}.events (made_at);

-- What the runs of a job have come to so far, by the names that its handler gives: its steps, waits and children.
CREATE TABLE {schema}.steps (
    job_id  bigint NOT NULL,
    name    text COLLATE "C" NOT NULL,
    state   text COLLATE "C" NOT NULL,  -- started, waiting, done
    output  jsonb,
    token   bigint NOT NULL,            -- of the claim that wrote it
    at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (job_id, name)
);
CREATE INDEX steps_at ON {schema}.steps (at);

-- Jobs that somebody wants ended; a row goes when its job has.
CREATE TABLE {schema}.cancel_requests (
    job_id     bigint PRIMARY KEY,
    reason     text,
    asked_at   timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- SELECT first FROM jobs.emit('approved:31', '{"by": "ann"}'): tells an event, once, and lets all jobs go on that wait for it.
-- Returns first (false: it was emitted before, and nothing changed) and woken (queue and type of the jobs that are ready now, as
-- a JSON array of pairs). It is part of the caller's transaction; workers that idle find such jobs at their next poll.
-- Locks the event's row in a statement of its own, and then the waiting jobs in the order of their ids: a wait that has the row
-- first is seen by the statement after, and one that comes later sees the event.
CREATE FUNCTION {schema}.emit(event text, payload jsonb DEFAULT NULL, OUT first boolean, OUT woken jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF event IS NULL OR event = '' OR length(event) > 200 OR starts_with(event, 'jobs:') THEN
        RAISE EXCEPTION 'event: % is no name for an event: 1 to 200 characters, jobs: not first', quote_nullable(left(event, 200))
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    INSERT INTO {schema}.events AS e (name) VALUES (event) ON CONFLICT (name) DO UPDATE SET name = e.name;
    UPDATE {schema}.events AS e SET payload = emit.payload, emitted_at = clock_timestamp(), made_at = clock_timestamp()
    WHERE e.name = event AND e.emitted_at IS NULL;
    first := FOUND;
    WITH waiting AS MATERIALIZED (
        SELECT id FROM {schema}.jobs WHERE wait_event = event ORDER BY id FOR UPDATE
    ), gone_on AS (
        UPDATE {schema}.jobs AS j
        SET state = 'pending', ready_seq = nextval('{schema}.ready_seq'), wait_event = NULL, wait_until = NULL,
            waiting_since = NULL, give_up_at = j.give_up_at + (clock_timestamp() - j.waiting_since)
        - make_interval(secs => {schema}.paused_s(j.queue, j.job_type, j.waiting_since))
        FROM waiting WHERE j.id = waiting.id AND j.wait_event = event
        RETURNING j.queue, j.job_type
    )
    SELECT coalesce(jsonb_agg(DISTINCT jsonb_build_array(queue, job_type)), '[]') INTO woken FROM gone_on;
END $$;
REVOKE ALL ON FUNCTION {schema}.emit FROM PUBLIC;
