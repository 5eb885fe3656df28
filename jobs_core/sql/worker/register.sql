-- Takes host, pid, queues, job_types, slots, lease_s. Returns id of the new worker, whose lease runs from now.
INSERT INTO {schema}.workers (host, pid, queues, job_types, slots, lease_s, expires_at)
VALUES (%(host)s, %(pid)s, %(queues)s, %(job_types)s, %(slots)s, %(lease_s)s,
        clock_timestamp() + make_interval(secs => %(lease_s)s))
RETURNING id
