-- Takes died_within_s. Returns id, host, pid, job_types, slots, state of workers: live; silent (its lease ran out a whole lease ago, and nobody
-- has taken its jobs over; not in the first two leases after Postgres came up); died (it was taken for dead in that time).
-- Locks nothing. A worker that ended in order says so before its lease runs out.
SELECT * FROM (
    SELECT id, host, pid, job_types, slots,
           CASE
               WHEN dead_at IS NULL AND expires_at > clock_timestamp() THEN 'live'
               WHEN dead_at IS NULL AND greatest(expires_at, pg_postmaster_start_time() + make_interval(secs => lease_s))
                                        < clock_timestamp() - make_interval(secs => lease_s) THEN 'silent'
               WHEN dead_at > expires_at AND dead_at > clock_timestamp() - make_interval(secs => %(died_within_s)s) THEN 'died'
           END AS state
    FROM {schema}.workers
) AS w
WHERE state IS NOT NULL
ORDER BY id
