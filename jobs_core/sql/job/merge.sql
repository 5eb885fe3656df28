-- Takes ids, and arrays of their length: inputs (JSON text), limits (JSON by key) and limit_groups; debounce_s (null: the time is
-- left as it is) and at_most_s (null for all but jobs that this transaction has inserted debounced). Writes what creates have made
-- of jobs that no worker has claimed. Returns id, scheduled_for of each.
-- Locks nothing more: the caller has inserted or locked them (job/meet), and no claim or promotion came between.
-- A start is put off while it is in the future by Postgres' clock, whether or not upkeep has looked: once due, a job may have
-- joined its lane. It never comes nearer, nor goes past debounce_until, which is set when a debounced job is inserted: one that
-- was created without keeps its time.
WITH clock AS MATERIALIZED (
    SELECT clock_timestamp() AS now
), given AS MATERIALIZED (
    SELECT g.*, clock.now, clock.now + make_interval(secs => g.debounce_s) AS quiet_at,
           clock.now + make_interval(secs => g.at_most_s) AS last_at
    FROM clock
    CROSS JOIN unnest(%(ids)s::bigint[], %(inputs)s::text[], %(limits)s::text[], %(limit_groups)s::text[],
                      %(debounce_s)s::double precision[], %(at_most_s)s::double precision[])
               AS g (id, input, limits, limit_group, debounce_s, at_most_s)
)
UPDATE {schema}.jobs AS j
SET input = given.input::jsonb, limits = given.limits::jsonb, limit_group = given.limit_group,
    alone = CASE WHEN given.limit_group IS NULL THEN false END,
    limited_alone = CASE WHEN given.limit_group IS NOT NULL THEN false END,
    debounce_until = CASE WHEN j.scheduled_for > given.now AND given.at_most_s IS NOT NULL THEN given.last_at
                     ELSE j.debounce_until END,
    scheduled_for = CASE WHEN j.scheduled_for > given.now AND given.debounce_s IS NOT NULL
                             AND (j.debounce_until IS NOT NULL OR given.at_most_s IS NOT NULL)
                         THEN greatest(j.scheduled_for, least(given.quiet_at, j.debounce_until, given.last_at))
                    ELSE j.scheduled_for END
FROM given
WHERE j.id = ANY(%(ids)s::bigint[]) AND j.id = given.id  -- or it would read a small table whole: end_many
RETURNING j.id, j.scheduled_for
