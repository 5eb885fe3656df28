-- Takes queue, job_type (null: as in the pause), operators (true: not what outcomes have set). Ends the pauses of just these, and
-- keeps the time that an operator's took. Returns them with the columns of Pause; `until` of one that was over already has passed.
-- Locks their rows; who lifts one at the same time waits, and finds none. now() stands for the moment, so that the pause which
-- pause/set puts in its place begins where this one ends.
WITH lifted AS (
    DELETE FROM {schema}.pauses
    WHERE queue IS NOT DISTINCT FROM %(queue)s AND job_type IS NOT DISTINCT FROM %(job_type)s
      AND (because = 'operator' OR NOT %(operators)s)
    RETURNING queue, job_type, because, reason, set_by, started_at, until
), kept AS (
    INSERT INTO {schema}.paused_times (queue, job_type, started_at, ended_at)
    SELECT queue, job_type, started_at, least(until, now()) FROM lifted WHERE because = 'operator'
)
SELECT queue, job_type, because, reason, set_by, started_at, until FROM lifted
