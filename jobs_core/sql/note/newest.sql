-- Takes job_id, since (when the job was created), limit. Returns text, data, said_at of its last progress, as kind `progress`, and
-- of its last lines, `limit` at most, as kind `log`, with their numbers n; the oldest first. Locks nothing. Sent unprepared.
SELECT * FROM (
    (
        SELECT kind, n, text, data, said_at FROM {schema}.notes
        WHERE job_id = %(job_id)s AND kind = 'progress' AND said_at >= %(since)s::timestamptz
        ORDER BY n DESC LIMIT 1
    ) UNION ALL (
        SELECT kind, n, text, data, said_at FROM {schema}.notes
        WHERE job_id = %(job_id)s AND kind = 'log' AND said_at >= %(since)s::timestamptz
        ORDER BY n DESC LIMIT %(limit)s
    )
) AS newest
ORDER BY kind, n
