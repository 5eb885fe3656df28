-- Takes id, queue, job_type of a ready job without limits; within_s, since (a UTC midnight before that), most.
-- Returns n: how many jobs of that queue and type were claimed, and over_s: in how many seconds, at most within_s; n 0: not known.
-- Only while one of them stood ready all the time, by the first of them and by the job itself, or it would say how often such jobs
-- come and not how fast they go. Counted are those that workers hold, and the `most` in history that were created last before this
-- job; of a type that is only counted, nothing is known. Locks nothing. Each order is there to have an index used. Sent
-- unprepared, as history/newest.
WITH waiting AS MATERIALIZED (
    (
        SELECT created_at, scheduled_for, claimed_at FROM {schema}.jobs
        WHERE queue = %(queue)s AND job_type = %(job_type)s AND ready_seq IS NOT NULL AND NOT alone
        ORDER BY priority, ready_seq LIMIT 1
    )
    UNION ALL
    SELECT created_at, scheduled_for, claimed_at FROM {schema}.jobs WHERE id = %(id)s
), newest AS MATERIALIZED (
    SELECT queue, job_type, claimed_at FROM {schema}.history
    WHERE ended_at >= %(since)s::timestamptz AND id < %(id)s
    ORDER BY id DESC LIMIT %(most)s
), held AS MATERIALIZED (
    SELECT queue, job_type, claimed_at FROM {schema}.jobs WHERE worker_id IS NOT NULL ORDER BY worker_id LIMIT %(most)s
), span AS MATERIALIZED (
    SELECT greatest(min(greatest(created_at, scheduled_for, claimed_at)), clock_timestamp() - make_interval(secs => %(within_s)s))
           AS since
    FROM waiting
), claimed AS MATERIALIZED (
    SELECT c.claimed_at FROM (SELECT * FROM newest UNION ALL SELECT * FROM held) AS c, span
    WHERE c.queue = %(queue)s AND c.job_type = %(job_type)s AND c.claimed_at >= span.since
      AND NOT EXISTS (
          SELECT FROM {schema}.ended_counts AS e WHERE e.day >= (%(since)s::timestamptz AT TIME ZONE 'UTC')::date
            AND e.job_type = %(job_type)s AND e.state = 'complete'
      )
)
SELECT (SELECT count(*) FROM claimed) AS n,
       extract(epoch FROM clock_timestamp() - CASE
           WHEN (SELECT count(*) FROM newest) < %(most)s THEN since ELSE (SELECT min(claimed_at) FROM claimed)
       END)::double precision AS over_s
FROM span
