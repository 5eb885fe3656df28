-- Takes queues, job_types with ages_s (arrays of one length: after how long a ready job goes up a class), batch.
-- Has jobs that became ready so long ago go up one class, to its tail: at most batch, however many queues, types and groups they
-- are of, for no claim takes what this has locked; touches a row for each. Suspects stay, and what is paused. Their order among
-- themselves stays.
-- Locks them, skipping what others have locked. Why it is right when two race, or it and a claim: a job that another has raised, or
-- taken, is looked at again under its lock, and has another class and number by then, or none. The new number is ahead
-- of every claim's cursor, so that no worker misses it; and waiting begins anew with it.
WITH RECURSIVE old AS MATERIALIZED (
    SELECT q.queue, t.job_type, bound.ready_seq
    FROM unnest(%(queues)s::text[]) AS q (queue)
    CROSS JOIN unnest(%(job_types)s::text[], %(ages_s)s::double precision[]) AS t (job_type, age_s)
    CROSS JOIN LATERAL (
        SELECT r.ready_seq FROM {schema}.ready_times AS r
        WHERE r.at <= clock_timestamp() - make_interval(secs => t.age_s)
        ORDER BY r.at DESC LIMIT 1
    ) AS bound
    WHERE NOT coalesce({schema}.paused(%(queues)s::text[], %(job_types)s::text[]) -> q.queue ? t.job_type, false)
), groups (queue, job_type, ready_seq, limit_group) AS (
    SELECT old.*, '' COLLATE "C" FROM old
    UNION ALL
    SELECT g.queue, g.job_type, g.ready_seq, next.limit_group
    FROM groups AS g
    CROSS JOIN LATERAL (
        SELECT j.limit_group FROM {schema}.jobs AS j
        WHERE j.ready_seq IS NOT NULL AND j.limit_group IS NOT NULL AND NOT j.limited_alone
          AND j.queue = g.queue AND j.job_type = g.job_type AND j.limit_group > g.limit_group
        ORDER BY j.limit_group LIMIT 1
    ) AS next
), waited AS MATERIALIZED (
    SELECT * FROM (
        SELECT one.*
        FROM old CROSS JOIN generate_series(1, 4) AS class (priority)
        CROSS JOIN LATERAL (
            SELECT j.id, j.priority, j.ready_seq FROM {schema}.jobs AS j
            WHERE j.queue = old.queue AND j.job_type = old.job_type AND j.priority = class.priority
              AND j.ready_seq <= old.ready_seq AND j.ready_seq IS NOT NULL AND NOT j.alone
            ORDER BY j.priority, j.ready_seq
            LIMIT %(batch)s
            FOR UPDATE SKIP LOCKED
        ) AS one
        UNION ALL
        SELECT one.*
        FROM groups AS g CROSS JOIN generate_series(1, 4) AS class (priority)
        CROSS JOIN LATERAL (
            SELECT j.id, j.priority, j.ready_seq FROM {schema}.jobs AS j
            WHERE j.ready_seq IS NOT NULL AND j.limit_group IS NOT NULL AND NOT j.limited_alone
              AND j.queue = g.queue AND j.job_type = g.job_type AND j.limit_group = g.limit_group
              AND j.priority = class.priority AND j.ready_seq <= g.ready_seq
            ORDER BY j.priority, j.ready_seq
            LIMIT %(batch)s
            FOR UPDATE SKIP LOCKED
        ) AS one
        WHERE g.limit_group <> ''
    ) AS either LIMIT %(batch)s
), numbered AS MATERIALIZED (
    SELECT id, nextval('{schema}.ready_seq') AS ready_seq
    FROM (SELECT id FROM waited ORDER BY priority, ready_seq) AS in_order
)
UPDATE {schema}.jobs AS j
SET priority = j.priority - 1, first_priority = coalesce(j.first_priority, j.priority), ready_seq = numbered.ready_seq
FROM numbered WHERE j.id = ANY(ARRAY(SELECT id FROM numbered)) AND j.id = numbered.id
