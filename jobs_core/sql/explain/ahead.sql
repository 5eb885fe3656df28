-- Takes queue, job_type, priority, ready_seq, most. Returns ahead: how many ready jobs of that queue and type are claimed
-- before such a one, counted up to most.
SELECT count(*) AS ahead FROM (
    SELECT FROM {schema}.jobs
    WHERE queue = %(queue)s AND job_type = %(job_type)s AND ready_seq IS NOT NULL AND NOT alone
      AND (priority, ready_seq) < (%(priority)s, %(ready_seq)s)
    LIMIT %(most)s
) AS first
