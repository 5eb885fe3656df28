-- Takes longer_than_s. Returns queue, job_type, jobs, heads (how many of them keep a lane waiting), oldest_s of jobs that have stood ready for so
-- long and that no live worker serves. Locks nothing; reads all that are ready.
SELECT ready.*
FROM (
    SELECT queue, job_type, count(*) AS jobs, count(lane) AS heads,
           extract(epoch FROM clock_timestamp() - min(greatest(created_at, scheduled_for)))::double precision AS oldest_s
    FROM {schema}.jobs
    WHERE ready_seq IS NOT NULL
      AND greatest(created_at, scheduled_for) < clock_timestamp() - make_interval(secs => %(longer_than_s)s)
    GROUP BY 1, 2
) AS ready
WHERE NOT EXISTS (
    SELECT FROM {schema}.workers AS w
    WHERE w.dead_at IS NULL AND w.expires_at > clock_timestamp()
      AND ready.queue = ANY(w.queues) AND ready.job_type = ANY(w.job_types)
)
ORDER BY ready.jobs DESC
