-- Takes job: the arguments of `create`, as a JSON object in one text; `input` and `limits` are JSON text in it, and when it is
-- due is `time`, or `delay_s` from now, or now. {function} is {schema}.create, or that of a role. Returns id, met. Locks what `create` locks.
-- One text, cast twice: drivers guess the types of their parameters from values, or have a codec of their own for jsonb.
SELECT made.id, made.met
FROM jsonb_to_record(CAST(CAST(%(job)s AS text) AS jsonb))
     AS j (job_type text, input text, user_id text, task_id bigint, project_id text, queue text, priority integer,
           time timestamptz, delay_s double precision, lane text, idempotency_key text, unique_key text, unique_while text,
           limits text, fair_by text, debounce_s double precision, at_most_s double precision)
CROSS JOIN LATERAL {function}(
    job_type => j.job_type, input => CAST(j.input AS jsonb), user_id => j.user_id, task_id => j.task_id,
    project_id => j.project_id, queue => j.queue, priority => j.priority,
    scheduled_for => coalesce(j.time, clock_timestamp() + make_interval(secs => j.delay_s)), lane => j.lane,
    idempotency_key => j.idempotency_key, unique_key => j.unique_key, unique_while => j.unique_while,
    limits => CAST(j.limits AS jsonb), fair_by => j.fair_by, debounce => make_interval(secs => j.debounce_s),
    debounce_at_most => make_interval(secs => j.at_most_s)) AS made
