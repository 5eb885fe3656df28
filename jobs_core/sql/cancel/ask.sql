-- Takes ids, reason. Asks that these jobs and all their living descendants end.
-- Returns job_id of each of them, the oldest first: parents before their children, or one that waits would go on, and maybe
-- complete, once its last child has ended. Locks the rows of requests alone.
-- OFFSET 0 keeps the look for children one by one, through their index: joined, stale statistics read the whole table.
WITH RECURSIVE family (id) AS (
    SELECT id FROM {schema}.jobs WHERE id = ANY(%(ids)s::bigint[])
    UNION
    SELECT child.id FROM family
    CROSS JOIN LATERAL (SELECT id FROM {schema}.jobs WHERE parent_id = family.id OFFSET 0) AS child
), asked AS (
    INSERT INTO {schema}.cancel_requests (job_id, reason)
    SELECT id, %(reason)s FROM family ORDER BY id
    ON CONFLICT (job_id) DO NOTHING
)
SELECT id AS job_id FROM family ORDER BY id
