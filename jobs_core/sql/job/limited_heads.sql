-- Takes lines, arrays of equal length: line_queues, line_types, line_priorities, line_groups, and jobs (how many of each); alone.
-- Returns line (which of them, from 1), id, job_type, priority, ready_seq, limits of each, in no order.
-- What was paused before this statement began is left alone. Locks them, skipping what others have locked; the caller has locked slots for them (limit/acquire), and claims those that get
-- all they need.
WITH me AS MATERIALIZED (
    SELECT {schema}.paused(%(line_queues)s::text[], %(line_types)s::text[]) AS paused
)
SELECT line.nth AS line, head.*
FROM me
CROSS JOIN unnest(%(line_queues)s::text[], %(line_types)s::text[], %(line_priorities)s::smallint[], %(line_groups)s::text[],
                  %(jobs)s::bigint[])
     WITH ORDINALITY AS line (queue, job_type, priority, limit_group, jobs, nth)
CROSS JOIN LATERAL (
    SELECT j.id, j.job_type, j.priority, j.ready_seq, j.limits FROM {schema}.jobs AS j
    WHERE j.ready_seq IS NOT NULL AND j.limit_group IS NOT NULL AND j.limited_alone = %(alone)s
      AND j.queue = line.queue AND j.job_type = line.job_type AND j.limit_group = line.limit_group
      AND j.priority = line.priority
    ORDER BY j.priority, j.ready_seq
    LIMIT line.jobs
    FOR UPDATE SKIP LOCKED
) AS head
WHERE NOT coalesce(me.paused -> line.queue ? line.job_type, false)
