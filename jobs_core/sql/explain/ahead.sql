-- Takes queue, job_type, priority, ready_seq, limit_group (null: it has no limits), most. Returns ahead: how many ready jobs of that
-- queue, type and group are claimed before such a one, counted up to most. Locks nothing. Each half has the index of its claims,
-- and its order is there to have it used.
SELECT count(*) AS ahead FROM (
    (
        SELECT FROM {schema}.jobs
        WHERE ready_seq IS NOT NULL AND NOT alone AND %(limit_group)s::text IS NULL
          AND queue = %(queue)s AND job_type = %(job_type)s AND (priority, ready_seq) < (%(priority)s, %(ready_seq)s)
        ORDER BY priority, ready_seq LIMIT %(most)s
    )
    UNION ALL
    (
        SELECT FROM {schema}.jobs
        WHERE ready_seq IS NOT NULL AND limit_group IS NOT NULL AND NOT limited_alone AND limit_group = %(limit_group)s
          AND queue = %(queue)s AND job_type = %(job_type)s AND (priority, ready_seq) < (%(priority)s, %(ready_seq)s)
        ORDER BY priority, ready_seq LIMIT %(most)s
    )
) AS first
