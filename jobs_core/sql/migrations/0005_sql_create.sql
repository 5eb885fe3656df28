-- Create from SQL: the parts of {schema}.create(…), which stands in 0010. It is for callers without our Python, in whatever
-- transaction they have open. The contract: docs/create-from-sql.md; that it does what jobs_core.create does is held by tests/database/test_sql_create.py.
--
--     create ─▶ fitted ─▶ no key: add_job
--                         a key: savepoint ─▶ lock lane ─▶ job_of_event ─▶ job_that_holds ─▶ add_job ─▶ take_key
--                                   ▲                                                          │ somebody else was faster
--                                   └───────── roll back, at most five rounds ◀────────────────┴
--
-- Each statement inside runs with a snapshot of its own, taken after the locks of those before it; so a lane's lock, too, is a
-- statement of its own here. No backslash stands in a quoted string: what it means there is for the caller's session to say.

-- What SQL must know of a job type. Workers, `jobs migrate` and `jobs up` keep it like their declarations; nobody deletes.
CREATE TABLE {schema}.job_types (
    name            text COLLATE "C" PRIMARY KEY,
    queue           text COLLATE "C" NOT NULL,
    priority        smallint NOT NULL,
    has_lane        boolean NOT NULL,           -- Python computes it from the input; who creates by SQL names it
    has_unique_key  boolean NOT NULL,           -- likewise
    has_limits      boolean NOT NULL,           -- likewise
    unique_while    text COLLATE "C" NOT NULL,
    idempotency_s   double precision NOT NULL
);

CREATE FUNCTION {schema}.refuse(field text, why text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE invalid_parameter_value USING MESSAGE = format('%s: %s', field, why), COLUMN = field;
END $$;

CREATE FUNCTION {schema}.check_name(field text, given text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF given = '' THEN
        PERFORM {schema}.refuse(field, 'is empty; leave it out or give a name');
    ELSIF char_length(given) > 200 THEN
        PERFORM {schema}.refuse(field, format('%s characters, at most 200 are allowed', char_length(given)));
    END IF;
END $$;

-- What jobs_core.gate refuses and jsonb holds. Size is counted as the gate counts it, without the space that jsonb puts after
-- each comma and colon. A number past a double's range may come back as infinity, or as more digits than Python reads.
CREATE FUNCTION {schema}.check_input(input jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    max_bytes CONSTANT bigint := 262144;
    size bigint := octet_length(input::text);
    bare text;
BEGIN
    IF input IS NULL THEN
        PERFORM {schema}.refuse('input', 'is missing');
    END IF;
    IF size > max_bytes AND size <= 2 * max_bytes THEN
        bare := regexp_replace(input::text, $re$"([^"\\]|\\.)*"$re$, '', 'g');
        size := size - length(bare) + length(replace(bare, ' ', ''));
    END IF;
    IF size > max_bytes THEN
        PERFORM {schema}.refuse('input', format('%s bytes, at most %s are allowed; pass it by reference', size, max_bytes));
    ELSIF jsonb_path_exists(input, 'strict $.**{65}') THEN
        PERFORM {schema}.refuse('input', 'nested deeper than 64');
    ELSIF jsonb_path_exists(input, 'strict $.** ? (@ > 1.7976931348623157e308 || @ < -1.7976931348623157e308)') THEN
        PERFORM {schema}.refuse('input', 'holds a number that no double can hold');
    ELSIF size > 1000 AND EXISTS (
        SELECT FROM jsonb_path_query(input, 'strict $.** ? (@.type() == "object")') AS o (value),
                    jsonb_object_keys(o.value) AS k (name)
        WHERE char_length(k.name) > 1000
    ) THEN
        PERFORM {schema}.refuse('input', 'has a key of more than 1000 characters');
    END IF;
END $$;

-- The limits as jobs_core.limit writes them; refuses what it does: one that a claim could not read would stop all claims of its
-- kind. Numbers are read as what they are to be, so that 5.0 slots are none, and written anew.
CREATE FUNCTION {schema}.fitted_limits(given jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    own record;
    made jsonb := '{}';
BEGIN
    IF jsonb_typeof(given) <> 'object' OR jsonb_path_exists(given, 'strict $.* ? (@.type() != "object")') THEN
        PERFORM {schema}.refuse('limits', 'is not an object of objects, one a key');
    END IF;
    FOR own IN
        SELECT l.key, coalesce(n.weight, 1) AS weight, n.slots, n.rate_per_s,
               coalesce(n.burst, greatest(1 + n.rate_per_s / 10, n.rate_per_s / 2)) AS burst, row_number() OVER () AS nth
        FROM jsonb_each(given) AS l, jsonb_to_record(l.value)
             AS n (weight integer, slots integer, rate_per_s double precision, burst double precision)
    LOOP
        PERFORM {schema}.check_name('limits', own.key);
        IF own.weight NOT BETWEEN 1 AND 10000 OR own.slots NOT BETWEEN 0 AND 10000
            OR own.rate_per_s NOT BETWEEN 0.000001 AND 1000000 OR own.burst NOT BETWEEN 1 AND 1000000 THEN
            PERFORM {schema}.refuse('limits', format('a number of %L is out of range', own.key));
        ELSIF own.rate_per_s IS NULL AND (own.slots IS NULL OR own.burst IS NOT NULL) THEN
            PERFORM {schema}.refuse('limits', format('%L has neither slots nor a rate, or a burst without a rate', own.key));
        ELSIF own.nth > 10 THEN
            PERFORM {schema}.refuse('limits', 'at most 10 keys are allowed');
        END IF;
        made := made || jsonb_build_object(own.key, jsonb_build_object(
            'weight', own.weight, 'slots', own.slots, 'rate_per_s', own.rate_per_s, 'burst', own.burst));
    END LOOP;
    RETURN nullif(made, '{}');
EXCEPTION WHEN invalid_text_representation OR numeric_value_out_of_range THEN
    PERFORM {schema}.refuse('limits', format('%s; slots and weight are integers', SQLERRM));
END $$;

-- The job as a row of its type; refuses what does not fit. given: the caller's columns, null where the caller said nothing.
CREATE FUNCTION {schema}.fitted(given {schema}.jobs) RETURNS {schema}.jobs LANGUAGE plpgsql AS $$
DECLARE
    declared {schema}.job_types;
BEGIN
    SELECT * INTO declared FROM {schema}.job_types AS t WHERE t.name = given.job_type;
    IF NOT FOUND THEN
        RAISE undefined_object USING COLUMN = 'job_type', MESSAGE = format(
            'job_type: no job type is called %L; a worker that starts, or jobs migrate, makes its types known', given.job_type);
    END IF;
    PERFORM {schema}.check_input(given.input);
    given.queue := coalesce(given.queue, declared.queue);
    PERFORM {schema}.check_name('queue', given.queue);
    PERFORM {schema}.check_name('user_id', given.user_id);
    PERFORM {schema}.check_name('project_id', given.project_id);
    given.priority := coalesce(given.priority, declared.priority);
    IF given.priority NOT BETWEEN 0 AND 4 THEN
        PERFORM {schema}.refuse('priority', 'it is not one of the integers 0 (first) to 4 (last)');
    ELSIF given.scheduled_for < '0001-01-01 00:00+00' OR given.scheduled_for >= '10000-01-01 00:00+00' THEN
        PERFORM {schema}.refuse('scheduled_for', 'is no time of the years 1 to 9999 in UTC');
    ELSIF given.lane IS NULL AND declared.has_lane THEN
        PERFORM {schema}.refuse('lane', format('jobs of type %s stand in a lane that Python computes; name it', declared.name));
    ELSIF given.lane IS NOT NULL AND NOT declared.has_lane THEN
        PERFORM {schema}.refuse('lane', format('jobs of type %s stand in none; leave it out', declared.name));
    END IF;
    PERFORM {schema}.check_name('lane', given.lane);
    IF given.limits IS NULL AND declared.has_limits THEN
        PERFORM {schema}.refuse('limits', format(
            'Python computes those of jobs of type %s; give them, or an empty object for a job without', declared.name));
    ELSIF given.limits IS NOT NULL AND NOT declared.has_limits THEN
        PERFORM {schema}.refuse('limits', format('jobs of type %s have none; leave them out', declared.name));
    ELSIF given.limits IS NOT NULL THEN
        given.limits := {schema}.fitted_limits(given.limits);
        given.limit_group := (SELECT jsonb_agg(l.key ORDER BY l.key COLLATE "C") FROM jsonb_object_keys(given.limits) AS l (key))::text;
        IF octet_length(given.limit_group) > 1000 THEN
            PERFORM {schema}.refuse('limits', 'the keys together have more than 1000 bytes');
        END IF;
    END IF;
    IF given.unique_while NOT IN ('unstarted', 'unfinished', 'none') THEN
        PERFORM {schema}.refuse('unique_while', format('%L is not one of unstarted, unfinished, none', given.unique_while));
    ELSIF given.unique_key IS NOT NULL AND given.unique_while = 'none' THEN
        PERFORM {schema}.refuse('unique_while', 'none is for a job without a unique_key; leave one of them out');
    ELSIF given.unique_key IS NULL AND given.unique_while <> 'none' THEN
        PERFORM {schema}.refuse('unique_while', 'there is no unique_key; give one, or leave it out');
    ELSIF given.unique_key IS NULL AND given.unique_while IS NULL AND declared.has_unique_key THEN
        PERFORM {schema}.refuse('unique_key', format(
            'Python computes one for jobs of type %s; give it, or unique_while => ''none'' for a job without', declared.name));
    END IF;
    PERFORM {schema}.check_name('unique_key', given.unique_key);
    given.unique_while := CASE WHEN given.unique_key IS NOT NULL THEN coalesce(given.unique_while, declared.unique_while) END;
    RETURN given;
END $$;

-- As job/create does for many: the lane's own row says whether it is empty, in the newest version that the upsert locked.
CREATE FUNCTION {schema}.add_job(made {schema}.jobs) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    later CONSTANT boolean := coalesce(made.scheduled_for > clock_timestamp(), false);
    head bigint;
    ready boolean;
BEGIN
    IF made.lane IS NOT NULL THEN
        INSERT INTO {schema}.lanes AS l (lane, next_pos, head_pos)
        VALUES (made.lane, CASE WHEN later THEN 1 ELSE 2 END, CASE WHEN NOT later THEN 1 END)
        ON CONFLICT (lane) DO UPDATE
        SET next_pos = l.next_pos + excluded.next_pos - 1,
            head_pos = coalesce(l.head_pos, CASE WHEN NOT later THEN l.next_pos END)
        RETURNING CASE WHEN NOT later THEN l.next_pos - 1 END, l.head_pos INTO made.lane_pos, head;
    END IF;
    ready := NOT later AND (made.lane IS NULL OR made.lane_pos = head);
    INSERT INTO {schema}.jobs AS j (job_type, queue, priority, state, input, user_id, task_id, project_id, lane, lane_pos,
                                    unique_key, unique_while, limits, limit_group, alone, limited_alone, ready_seq, scheduled_for)
    VALUES (made.job_type, made.queue, made.priority, CASE WHEN ready OR later THEN 'pending' ELSE 'blocked' END, made.input,
            made.user_id, made.task_id, made.project_id, made.lane, made.lane_pos, made.unique_key, made.unique_while,
            made.limits, made.limit_group, CASE WHEN made.limit_group IS NULL THEN false END,
            CASE WHEN made.limit_group IS NOT NULL THEN false END,
            CASE WHEN ready THEN nextval('{schema}.ready_seq') END, CASE WHEN later THEN made.scheduled_for END)
    RETURNING j.id INTO made.id;
    RETURN made.id;
END $$;

-- The job that the idempotency key stands for, or null. Locked if it lives and nobody holds it: a claim passes it over until
-- the caller has committed, so that a run which begins after sees whatever the caller wrote before (job/meet).
CREATE FUNCTION {schema}.job_of_event(made {schema}.jobs, event text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    known {schema}.job_keys;
BEGIN
    SELECT * INTO known FROM {schema}.job_keys AS k
    WHERE k.job_type = made.job_type AND k.key = event AND k.expires_at > clock_timestamp();
    IF known.input_hash <> sha256(convert_to(made.input::text, 'UTF8')) THEN
        RAISE duplicate_object USING COLUMN = 'idempotency_key', MESSAGE = format(
            'idempotency_key: %L was given to job %s, with another input; repeat that one, or take a new key',
            event, known.job_id);
    END IF;
    PERFORM FROM {schema}.jobs AS j WHERE j.id = known.job_id AND j.state NOT IN ('claimed', 'running') FOR UPDATE;
    RETURN known.job_id;
END $$;

-- The job that holds the unique key, or null. Locked unless a worker holds it, as above. The second look is newer than the lock
-- that the first one waited for: a job that was claimed meanwhile is met as one that is held.
CREATE FUNCTION {schema}.job_that_holds(made {schema}.jobs) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    holder bigint;
BEGIN
    SELECT j.id INTO holder FROM {schema}.jobs AS j
    WHERE j.job_type = made.job_type AND j.unique_key = made.unique_key
      AND (j.unique_while = 'unfinished' OR j.token IS NULL) AND j.state NOT IN ('claimed', 'running')
    FOR UPDATE;
    IF holder IS NULL THEN
        SELECT j.id INTO holder FROM {schema}.jobs AS j
        WHERE j.job_type = made.job_type AND j.unique_key = made.unique_key
          AND (j.unique_while = 'unfinished' OR j.token IS NULL) AND j.state IN ('claimed', 'running');
    END IF;
    RETURN holder;
END $$;

-- Has the idempotency key stand for the job from now on; unique_violation where somebody else took it since job_of_event.
CREATE FUNCTION {schema}.take_key(made {schema}.jobs, event text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO {schema}.job_keys AS k (job_type, key, job_id, input_hash, expires_at)
    SELECT made.job_type, event, made.id, sha256(convert_to(made.input::text, 'UTF8')),
           clock_timestamp() + make_interval(secs => t.idempotency_s)
    FROM {schema}.job_types AS t WHERE t.name = made.job_type
    ON CONFLICT (job_type, key) DO UPDATE
    SET job_id = excluded.job_id, input_hash = excluded.input_hash, expires_at = excluded.expires_at
    WHERE k.expires_at <= clock_timestamp();
    IF NOT FOUND THEN
        RAISE unique_violation;
    END IF;
END $$;

-- Functions are everybody's unless it is said otherwise. Who is given `create` needs rights on the tables, too; for those who
-- are to have none there is `jobs role create-sql`.
REVOKE ALL ON FUNCTION
    {schema}.refuse, {schema}.check_name, {schema}.check_input, {schema}.fitted_limits, {schema}.fitted, {schema}.add_job, {schema}.job_of_event,
    {schema}.job_that_holds, {schema}.take_key FROM PUBLIC;
