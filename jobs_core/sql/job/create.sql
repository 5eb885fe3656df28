-- Takes arrays of equal length, one element a job, in the order wanted: job_type, queue, priority, input, user_id, task_id,
-- project_id, lane, unique_key and unique_while, limits (JSON by key) and limit_group (their keys), and when each
-- is due: time, or else delay_s from now, or else now.
-- Returns id, ready of each, in that order.
-- Locks the rows of the lanes named, sorted; new rows lock nothing. Where another transaction is inserting a job of the same
-- unique key it waits for that one's end, and then violates jobs_unique: roll back and meet it (job/meet).
-- Why it is right when two of it race, or it and settle: whether a lane is empty is read from the lane's own row, which the
-- upsert locks and returns in its newest version; nothing is looked up in jobs, whose snapshot would predate the lock.
-- Positions are given under that lock, so they are in the order of the commits. A job for the future takes no position: it
-- joins its lane when it is due; the lane's row is made here, so that whoever joins it then never waits for another's insert.
WITH given AS MATERIALIZED (
    SELECT g.*, row_number() OVER (PARTITION BY g.lane, g.later ORDER BY g.ordinal) AS nth,
           g.lane IS NOT NULL AND NOT g.later AS joins
    FROM (
        SELECT u.*, due.at AS due_at, due.at IS NOT NULL AND due.at > clock_timestamp() AS later
        FROM unnest(%(job_type)b::text[], %(queue)b::text[], %(priority)s::smallint[], %(input)b::text[],
                    %(user_id)b::text[], %(task_id)s::bigint[], %(project_id)b::text[], %(lane)b::text[],
                    %(unique_key)b::text[], %(unique_while)b::text[], %(limits)b::text[], %(limit_group)b::text[],
                    %(time)s::timestamptz[], %(delay_s)s::double precision[])
             WITH ORDINALITY AS u (job_type, queue, priority, input, user_id, task_id, project_id, lane, unique_key,
                                   unique_while, limits, limit_group, time, delay_s, ordinal)
        CROSS JOIN LATERAL (SELECT coalesce(u.time, clock_timestamp() + make_interval(secs => u.delay_s))) AS due (at)
    ) AS g
), joined AS MATERIALIZED (
    INSERT INTO {schema}.lanes AS l (lane, next_pos, head_pos)
    SELECT lane, 1 + count(*) FILTER (WHERE joins), CASE WHEN bool_or(joins) THEN 1 END
    FROM given WHERE lane IS NOT NULL GROUP BY lane ORDER BY lane COLLATE "C"
    ON CONFLICT (lane) DO UPDATE
    SET next_pos = l.next_pos + excluded.next_pos - 1,
        head_pos = coalesce(l.head_pos, CASE WHEN excluded.head_pos IS NOT NULL THEN l.next_pos END)
    RETURNING lane, next_pos, head_pos
), placed AS MATERIALIZED (
    SELECT given.*, joined.head_pos,
           joined.next_pos - 1 - count(*) OVER (PARTITION BY given.lane, given.joins) + given.nth AS pos
    FROM given LEFT JOIN joined ON given.joins AND joined.lane = given.lane
), numbered AS MATERIALIZED (
    SELECT *, nextval('{schema}.job_id_seq') AS id,
           NOT later AND (pos IS NULL OR pos = head_pos) AS ready
    FROM (SELECT * FROM placed ORDER BY ordinal) AS in_order
), inserted AS (
    INSERT INTO {schema}.jobs (id, job_type, queue, priority, state, input, user_id, task_id, project_id, lane, lane_pos,
                               unique_key, unique_while, limits, limit_group, alone, limited_alone, ready_seq,
                               scheduled_for)
    SELECT id, job_type, queue, priority, CASE WHEN ready OR later THEN 'pending' ELSE 'blocked' END, input::jsonb,
           user_id, task_id, project_id, lane, pos, unique_key, unique_while, limits::jsonb, limit_group,
           CASE WHEN limit_group IS NULL THEN false END, CASE WHEN limit_group IS NOT NULL THEN false END,
           CASE WHEN ready THEN nextval('{schema}.ready_seq') END,
           CASE WHEN later THEN due_at END
    FROM numbered
)
SELECT id, ready FROM numbered ORDER BY ordinal
