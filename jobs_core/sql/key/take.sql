-- Takes arrays of equal length, no key twice: job_types, keys, job_ids, input_hashes, spans_s. The keys stand for these jobs
-- from now on; touches a row for each, fewer where somebody else took one in the meantime: roll back and look again.
-- Locks the rows, in order. Why it is right when two race: the second waits for the first one's commit, and then meets a key
-- that has not expired; one that has is taken over, whether or not key/expire came to it.
INSERT INTO {schema}.job_keys AS k (job_type, key, job_id, input_hash, expires_at)
SELECT job_type, key, job_id, input_hash, clock_timestamp() + make_interval(secs => span_s)
FROM unnest(%(job_types)s::text[], %(keys)s::text[], %(job_ids)s::bigint[], %(input_hashes)s::bytea[],
            %(spans_s)s::double precision[]) AS g (job_type, key, job_id, input_hash, span_s)
ORDER BY job_type COLLATE "C", key COLLATE "C"
ON CONFLICT (job_type, key) DO UPDATE
SET job_id = excluded.job_id, input_hash = excluded.input_hash, expires_at = excluded.expires_at
WHERE k.expires_at <= clock_timestamp()
