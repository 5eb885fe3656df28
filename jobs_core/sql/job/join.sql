-- Takes lanes, whose rows the caller has locked in a statement before this one, and batch. At most that many of their due
-- jobs take places at the tail, in the order in which they fell due. Returns queue, job_type of each that is now ready.
-- Locks the jobs. Right when two race: both need the lanes' locks, and this statement's snapshot is taken after them.
WITH due AS MATERIALIZED (
    SELECT id, lane, row_number() OVER (PARTITION BY lane ORDER BY scheduled_for, id) AS nth
    FROM (
        SELECT id, lane, scheduled_for FROM {schema}.jobs
        WHERE ready_seq IS NULL AND state = 'pending' AND scheduled_for <= now()
          AND lane IS NOT NULL AND lane_pos IS NULL AND lane = ANY(%(lanes)s::text[])
        ORDER BY scheduled_for, id
        LIMIT %(batch)s
    ) AS first
), joined AS MATERIALIZED (
    UPDATE {schema}.lanes AS l
    SET head_pos = coalesce(l.head_pos, l.next_pos), next_pos = l.next_pos + counted.n
    FROM (SELECT lane, count(*) AS n FROM due GROUP BY lane) AS counted
    WHERE l.lane = counted.lane
    RETURNING l.lane, l.head_pos, l.next_pos - counted.n AS first_pos
), placed AS (
    SELECT due.id, joined.first_pos + due.nth - 1 AS pos, joined.head_pos FROM due JOIN joined USING (lane)
), moved AS (
    UPDATE {schema}.jobs AS j
    SET lane_pos = pos, state = CASE WHEN pos = head_pos THEN 'pending' ELSE 'blocked' END,
        ready_seq = CASE WHEN pos = head_pos THEN nextval('{schema}.ready_seq') END
    FROM placed WHERE j.id = placed.id
    RETURNING j.queue, j.job_type, j.ready_seq
)
SELECT queue, job_type FROM moved WHERE ready_seq IS NOT NULL
