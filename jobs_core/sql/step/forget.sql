-- Takes keep_s, batch. Deletes steps written longer ago than that whose job has ended.
DELETE FROM {schema}.steps WHERE (job_id, name) IN (
    SELECT job_id, name FROM {schema}.steps AS s
    WHERE at < clock_timestamp() - make_interval(secs => %(keep_s)s)
      AND NOT EXISTS (SELECT FROM {schema}.jobs AS j WHERE j.id = s.job_id)
    ORDER BY at LIMIT %(batch)s
)
