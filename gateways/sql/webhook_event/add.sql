-- Takes arrays of equal length, one element an event, sorted by source and key, none of them twice: sources, keys, digests, bodies,
-- headers (JSON text), results, errors, job_ids.
-- Returns source, key, id, result, job_id of those inserted; fewer than given: another transaction has taken one in, and the caller rolls back.
-- Why it is right when two race: the second waits at the first key that both have until the first one's end, holding none that
-- comes later in that order, so that no two wait for each other.
INSERT INTO {schema}.webhook_events (source, key, digest, body, headers, result, error, job_id)
SELECT source, key, digest, body, headers::jsonb, result, error, job_id
FROM unnest(%(sources)b::text[], %(keys)b::text[], %(digests)b::bytea[], %(bodies)b::bytea[], %(headers)b::text[],
            %(results)b::text[], %(errors)b::text[], %(job_ids)s::bigint[])
     AS g (source, key, digest, body, headers, result, error, job_id)
ON CONFLICT (source, key) DO NOTHING
RETURNING source, key, id, result, job_id
