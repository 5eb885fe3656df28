-- Takes session_id and arrays of equal length: ids, copies_of, started_at, ended_at. Makes answered turns of a session that no job
-- here has run. Locks nothing that another could want: the session is its caller's own.
INSERT INTO {schema}.turns (id, session_id, job_id, started_at, ended_at, copy_of)
SELECT t.id, %(session_id)s, 0, t.started_at, t.ended_at, t.copy_of
FROM unnest(%(ids)s::uuid[], %(copies_of)s::uuid[], %(started_at)s::timestamptz[], %(ended_at)s::timestamptz[])
    AS t (id, copy_of, started_at, ended_at)
