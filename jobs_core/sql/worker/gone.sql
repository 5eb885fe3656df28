-- Returns id of workers that hold jobs and are dead or missing. Locks nothing: an id that is gone never comes back, so what
-- is read here stays true. It steps from holder to holder through their index, whatever the statistics say.
WITH RECURSIVE holders (id) AS (
    (SELECT worker_id FROM {schema}.jobs WHERE worker_id IS NOT NULL ORDER BY worker_id LIMIT 1)
    UNION ALL
    SELECT (SELECT j.worker_id FROM {schema}.jobs AS j WHERE j.worker_id > h.id ORDER BY j.worker_id LIMIT 1)
    FROM holders AS h WHERE h.id IS NOT NULL
)
SELECT h.id FROM holders AS h
WHERE h.id IS NOT NULL AND NOT EXISTS (SELECT FROM {schema}.workers AS w WHERE w.id = h.id AND w.dead_at IS NULL)
