-- Debounce: creates of one unique key put the start of its unclaimed job off, and the last one's input counts (docs/keys.md).

-- The latest start that creates may put the job off to; null: it was created without a debounce, and keeps its time.
ALTER TABLE {schema}.jobs ADD COLUMN debounce_until timestamptz;

-- Python merges the inputs of such jobs. SQL cannot, and refuses to create them with a unique key.
ALTER TABLE {schema}.job_types ADD COLUMN merges boolean NOT NULL DEFAULT false;

-- As jobs_core.new_job refuses it; and where the type merges.
CREATE FUNCTION {schema}.check_debounce(given {schema}.jobs, debounce interval, at_most interval) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    most_s CONSTANT numeric := 36500 * 86400::numeric;
    quiet_s CONSTANT numeric := extract(epoch FROM debounce);
    at_most_s CONSTANT numeric := extract(epoch FROM at_most);
BEGIN
    IF given.unique_key IS NOT NULL AND (SELECT t.merges FROM {schema}.job_types AS t WHERE t.name = given.job_type) THEN
        PERFORM {schema}.refuse('unique_key', format(
            'Python merges the inputs of jobs of type %s: create them there, or without a key (unique_while => ''none'')',
            given.job_type));
    ELSIF debounce IS NULL AND at_most IS NULL THEN
        RETURN;
    ELSIF debounce IS NULL THEN
        PERFORM {schema}.refuse('debounce_at_most', 'there is no debounce; give one, or leave it out');
    ELSIF at_most IS NULL THEN
        PERFORM {schema}.refuse('debounce_at_most', 'is missing; without it creates that do not cease put the job off for ever');
    ELSIF quiet_s <= 0 OR quiet_s > most_s THEN
        PERFORM {schema}.refuse('debounce', 'is not a span above zero, of 36500 days at most');
    ELSIF at_most_s <= 0 OR at_most_s > most_s THEN
        PERFORM {schema}.refuse('debounce_at_most', 'is not a span above zero, of 36500 days at most');
    ELSIF at_most_s < quiet_s THEN
        PERFORM {schema}.refuse('debounce_at_most', 'is shorter than debounce');
    ELSIF given.unique_key IS NULL THEN
        PERFORM {schema}.refuse('debounce', 'there is no unique_key that a next create could meet; give one');
    ELSIF given.unique_while = 'unfinished' THEN
        PERFORM {schema}.refuse('unique_while',
            'a job that is merged or debounced holds its key while unstarted, as a run reads its input once; leave it out');
    ELSIF given.scheduled_for IS NOT NULL THEN
        PERFORM {schema}.refuse('scheduled_for', 'debounce says when it is due; leave one out');
    END IF;
END $$;

-- As jobs_core.merges and job/merge do: the job, which is new, or met and locked, has the input and limits of this create, and its
-- start is put off. at_most_s: null for one that was met. Returns when it is due.
CREATE FUNCTION {schema}.put_off(made {schema}.jobs, quiet_s double precision, at_most_s double precision) RETURNS timestamptz
LANGUAGE plpgsql AS $$
DECLARE
    now CONSTANT timestamptz := clock_timestamp();
    known {schema}.jobs;
BEGIN
    SELECT * INTO known FROM {schema}.jobs AS j WHERE j.id = made.id;
    IF known.token IS NOT NULL THEN
        PERFORM {schema}.refuse('unique_key', format(
            'job %s holds it until it ends, and has begun: its input can no longer be merged; create again when it has ended, or '
            'have all its creators hold the key while unstarted', known.id));
    ELSIF (known.lane, known.user_id, known.task_id, known.project_id)
          IS DISTINCT FROM (made.lane, made.user_id, made.task_id, made.project_id) THEN
        PERFORM {schema}.refuse('unique_key', format(
            'job %s holds it with another lane, user_id, task_id or project_id: they cannot be one job; let their keys differ',
            known.id));
    END IF;
    IF known.scheduled_for > now AND (known.debounce_until IS NOT NULL OR at_most_s IS NOT NULL) THEN
        known.debounce_until := coalesce(known.debounce_until, now + make_interval(secs => at_most_s));
        known.scheduled_for := greatest(
            known.scheduled_for, least(now + make_interval(secs => quiet_s), known.debounce_until));
    END IF;
    UPDATE {schema}.jobs AS j
    SET input = made.input, limits = made.limits, limit_group = made.limit_group,
        alone = CASE WHEN made.limit_group IS NULL THEN false END,
        limited_alone = CASE WHEN made.limit_group IS NOT NULL THEN false END,
        scheduled_for = known.scheduled_for, debounce_until = known.debounce_until
    WHERE j.id = known.id;
    RETURN known.scheduled_for;
END $$;

-- Takes a job; returns its id, whether it was there before, and when it is due if it is debounced. Locks the lane's row, and a job
-- that it meets; creates of the same key wait for each other's end. Why it is right when two race stands with each part, and in
-- jobs_core/keys.py.
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
    debounce interval DEFAULT NULL,
    debounce_at_most interval DEFAULT NULL,
    OUT id bigint,
    OUT met boolean,
    OUT due_at timestamptz
) LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
DECLARE
    quiet_s CONSTANT double precision := extract(epoch FROM debounce);
    at_most_s CONSTANT double precision := extract(epoch FROM debounce_at_most);
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
    made.unique_key := unique_key;
    made.unique_while := coalesce(unique_while, CASE WHEN debounce IS NOT NULL THEN 'unstarted' END);
    PERFORM {schema}.check_debounce(made, debounce, debounce_at_most);
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
                    made.scheduled_for := coalesce(scheduled_for, clock_timestamp() + make_interval(secs => quiet_s));
                    made.id := {schema}.add_job(made);
                END IF;
                IF debounce IS NOT NULL THEN
                    due_at := {schema}.put_off(made, quiet_s, CASE WHEN NOT met THEN at_most_s END);
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

REVOKE ALL ON FUNCTION {schema}.check_debounce, {schema}.put_off, {schema}.create FROM PUBLIC;
