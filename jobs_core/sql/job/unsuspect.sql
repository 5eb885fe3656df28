-- Takes queues, job_types, batch. Has suspects of these queues and types, jobs put back by somebody who did not know that losses of these types
-- suspect nobody, run among others. Returns queue, job_type of each.
-- Locks the jobs, skipping those that others have locked: the next round sees those again. Each draws a new readiness number, or a worker whose
-- floor has passed the old one would see it late. They keep their places in their lanes. Each order is there to have an index used.
WITH suspects AS MATERIALIZED (
    SELECT s.id
    FROM unnest(%(queues)s::text[]) AS q (queue)
    CROSS JOIN unnest(%(job_types)s::text[]) AS t (job_type)
    CROSS JOIN LATERAL (
        (
            SELECT j.id FROM {schema}.jobs AS j
            WHERE j.queue = q.queue AND j.job_type = t.job_type AND j.ready_seq IS NOT NULL AND j.alone
            ORDER BY j.priority, j.ready_seq
            LIMIT %(batch)s
        ) UNION ALL (
            SELECT j.id FROM {schema}.jobs AS j
            WHERE j.queue = q.queue AND j.job_type = t.job_type AND j.ready_seq IS NOT NULL AND j.limit_group IS NOT NULL
              AND j.limited_alone
            ORDER BY j.limit_group
            LIMIT %(batch)s
        )
    ) AS s
), locked AS MATERIALIZED (
    SELECT id FROM {schema}.jobs
    WHERE id = ANY(ARRAY(SELECT id FROM suspects)) AND ready_seq IS NOT NULL AND coalesce(alone, limited_alone)
    FOR UPDATE SKIP LOCKED
)
UPDATE {schema}.jobs AS j
SET ready_seq = nextval('{schema}.ready_seq'), alone = CASE WHEN j.limit_group IS NULL THEN false END,
    limited_alone = CASE WHEN j.limit_group IS NOT NULL THEN false END
FROM locked WHERE j.id = locked.id
RETURNING j.queue, j.job_type
