-- Takes id, since (nothing that is new was written before), and where a watcher is (Cursor): token, log, progress, step; most.
-- Returns now; job: what stands of the job while it lives, else null; attempts (from that token on), log, progress, steps (after
-- those numbers): JSON arrays, the first one first, `most` of each at most. One statement, so that all of it was true at one
-- moment: a job that is gone in it has ended, and there is nothing more to come. Locks nothing.
-- Sent unprepared: planned with `since`, it opens the days since then only.
SELECT clock_timestamp() AS now,
       (
           SELECT to_jsonb(j) FROM (
               SELECT state, token, worker_id, claimed_at, started_at, waiting_since, wait_event, wait_until
               FROM {schema}.jobs WHERE id = %(id)s
           ) AS j
       ) AS job,
       (
           SELECT coalesce(jsonb_agg(to_jsonb(a) ORDER BY a.token), '[]') FROM (
               SELECT token, worker_id, claimed_at, started_at, ended_at, reason, error FROM {schema}.attempts
               WHERE job_id = %(id)s AND token >= %(token)s AND ended_at >= %(since)s::timestamptz
               ORDER BY token LIMIT %(most)s
           ) AS a
       ) AS attempts,
       (
           SELECT coalesce(jsonb_agg(to_jsonb(note) ORDER BY note.n), '[]') FROM (
               SELECT n, text, data, said_at FROM {schema}.notes
               WHERE job_id = %(id)s AND kind = 'log' AND n > %(log)s AND said_at >= %(since)s::timestamptz
               ORDER BY n LIMIT %(most)s
           ) AS note
       ) AS log,
       (
           SELECT coalesce(jsonb_agg(to_jsonb(note) ORDER BY note.n), '[]') FROM (
               SELECT n, text, data, said_at FROM {schema}.notes
               WHERE job_id = %(id)s AND kind = 'progress' AND n > %(progress)s AND said_at >= %(since)s::timestamptz
               ORDER BY n LIMIT %(most)s
           ) AS note
       ) AS progress,
       (
           SELECT coalesce(jsonb_agg(to_jsonb(s) ORDER BY s.seq), '[]') FROM (
               SELECT name, state, seq, at FROM {schema}.steps
               WHERE job_id = %(id)s AND seq > %(step)s AND state <> 'waiting'  -- the job's row says that
               ORDER BY seq LIMIT %(most)s
           ) AS s
       ) AS steps
