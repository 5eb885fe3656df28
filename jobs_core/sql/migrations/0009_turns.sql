-- Turns: jobs of one type, queue and class may go round by whose they are; and ageing: a job that was ready for long goes up a class.

-- Who was served when: `served` is a readiness number, drawn at each turn that a key takes, and by now in one line with those of its
-- jobs. Who has no row was not served of late.
CREATE TABLE {schema}.fair_keys (
    queue      text COLLATE "C" NOT NULL,
    job_type   text COLLATE "C" NOT NULL,
    priority   smallint NOT NULL,
    key        text COLLATE "C" NOT NULL,
    served     bigint NOT NULL DEFAULT 0,
    served_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (queue, job_type, priority, key)
) WITH (fillfactor = 50);

-- A job that goes by turns waits where those with limits do: its key, in an array of its own, stands first in `limit_group`, before
-- the keys of its limits, of which there may be none: [["user:7"], "api:search"].

-- How far readiness numbers had come by when: a number says when its job became ready, and jobs need no column for it.
CREATE TABLE {schema}.ready_times (
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    ready_seq  bigint NOT NULL
);
CREATE INDEX ready_times_at ON {schema}.ready_times (at);

ALTER TABLE {schema}.jobs ADD COLUMN first_priority smallint;  -- of a job that went up by waiting: the class it was created in

-- How jobs of a type find their key: user_id, project_id, input (Python computes it); null: they take no turns.
ALTER TABLE {schema}.job_types ADD COLUMN fair_by text COLLATE "C";

-- The group that the job waits in: that of its limits, with whose job it is before them, where its type goes by turns.
CREATE FUNCTION {schema}.turn_group(made {schema}.jobs, key text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    declared CONSTANT text := (SELECT t.fair_by FROM {schema}.job_types AS t WHERE t.name = made.job_type);
    found_group text;
BEGIN
    IF declared IS NULL THEN
        IF key IS NOT NULL THEN
            PERFORM {schema}.refuse('fair_by', format('jobs of type %s take no turns; leave it out', made.job_type));
        END IF;
        RETURN made.limit_group;
    ELSIF key IS NULL AND declared = 'input' THEN
        PERFORM {schema}.refuse('fair_by', format(
            'Python computes whose jobs of type %s are; give it, or an empty text for nobody''s', made.job_type));
    ELSIF key IS NOT NULL AND declared <> 'input' THEN
        PERFORM {schema}.refuse('fair_by', format('jobs of type %s go by %s; leave it out', made.job_type, declared));
    ELSIF char_length(key) > 200 THEN
        PERFORM {schema}.refuse('fair_by', format('%s characters, at most 200 are allowed', char_length(key)));
    END IF;
    key := CASE declared WHEN 'user_id' THEN made.user_id WHEN 'project_id' THEN made.project_id ELSE key END;
    found_group := jsonb_build_array(jsonb_build_array(coalesce(key, ''))) || coalesce(made.limit_group, '[]')::jsonb;
    IF octet_length(found_group) > 1000 THEN
        PERFORM {schema}.refuse('limits', 'the keys together have more than 1000 bytes');
    END IF;
    RETURN found_group;
END $$;

-- With one argument more: fair_by, for types whose key Python computes.
DROP FUNCTION {schema}.create;
-- Takes a job; returns its id, and whether it was there before. Locks the lane's row, and a job that it meets; creates of the
-- same key wait for each other's end. Why it is right when two race stands with each part, and in jobs_core/keys.py.
-- The path is fixed, so that nothing of the caller's stands in for a function or an operator named here. Tables are read by
-- index whatever the statistics say: a session keeps a plan that was made while they were small.
CREATE FUNCTION {schema}.create(
    job_type text,
    input jsonb DEFAULT '{}',
    user_id text DEFAULT NULL,
    task_id bigint DEFAULT NULL,
    project_id text DEFAULT NULL,
    queue text DEFAULT NULL,
    priority integer DEFAULT NULL,
    scheduled_for timestamptz DEFAULT NULL,
    lane text DEFAULT NULL,
    idempotency_key text DEFAULT NULL,
    unique_key text DEFAULT NULL,
    unique_while text DEFAULT NULL,
    limits jsonb DEFAULT NULL,
    fair_by text DEFAULT NULL,
    OUT id bigint,
    OUT met boolean
) LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
DECLARE
    made {schema}.jobs;
BEGIN
    made.job_type := job_type;
    made.input := input;
    made.user_id := user_id; made.task_id := task_id; made.project_id := project_id;
    made.queue := queue;
    made.priority := CASE WHEN priority IS NULL OR priority BETWEEN 0 AND 4 THEN priority ELSE -1 END;  -- a smallint
    made.scheduled_for := scheduled_for;
    made.lane := lane;
    made.limits := limits;
    made.unique_key := unique_key; made.unique_while := unique_while;
    made := {schema}.fitted(made);
    made.limit_group := {schema}.turn_group(made, fair_by);
    PERFORM {schema}.check_name('idempotency_key', idempotency_key);
    met := false;
    IF idempotency_key IS NULL AND made.unique_key IS NULL THEN
        id := {schema}.add_job(made);
        RETURN;
    END IF;
    FOR round IN 1..5 LOOP
        BEGIN
            PERFORM FROM {schema}.lanes AS l WHERE l.lane = made.lane FOR UPDATE;  -- before any job: settle does so, too
            made.id := {schema}.job_of_event(made, idempotency_key);
            met := made.id IS NOT NULL;
            IF NOT met THEN
                made.id := {schema}.job_that_holds(made);
                met := made.id IS NOT NULL;
                IF NOT met THEN
                    made.id := {schema}.add_job(made);
                END IF;
                IF idempotency_key IS NOT NULL THEN
                    PERFORM {schema}.take_key(made, idempotency_key);
                END IF;
            END IF;
            id := made.id;
            RETURN;
        EXCEPTION WHEN unique_violation THEN
            NULL;  -- the savepoint is rolled back, and now there is a job to meet
        END;
    END LOOP;
    RAISE serialization_failure USING MESSAGE = 'jobs of the same keys came and went 5 times: try again';
END $$;

REVOKE ALL ON FUNCTION {schema}.turn_group, {schema}.create FROM PUBLIC;
