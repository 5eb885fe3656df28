-- Takes arrays of equal length: job_types, keys, inputs (JSON text).
-- Returns in their order input_hash, and, where the key stands for a job, job_id and known_hash, that of its input.
-- Locks nothing: a key that is known and has not expired does not change.
SELECT sha256(convert_to(g.input::jsonb::text, 'UTF8')) AS input_hash, k.job_id, k.input_hash AS known_hash
FROM unnest(%(job_types)s::text[], %(keys)s::text[], %(inputs)s::text[])
     WITH ORDINALITY AS g (job_type, key, input, ordinal)
LEFT JOIN {schema}.job_keys AS k
    ON k.job_type = g.job_type AND k.key = g.key AND k.expires_at > clock_timestamp()
ORDER BY g.ordinal
