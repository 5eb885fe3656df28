-- Outside a transaction: indexes of jobs, built while others write to it.

-- Whom an event wakes; whose time is over; a parent's children.
CREATE INDEX CONCURRENTLY jobs_waiting ON {schema}.jobs (wait_event) WHERE wait_event IS NOT NULL;
CREATE INDEX CONCURRENTLY jobs_wait_until ON {schema}.jobs (wait_until) WHERE wait_until IS NOT NULL;
CREATE INDEX CONCURRENTLY jobs_children ON {schema}.jobs (parent_id) WHERE parent_id IS NOT NULL;

-- A job with limits stands in an index of its own, whether it runs alone or not.
CREATE INDEX CONCURRENTLY jobs_limited ON {schema}.jobs (limited_alone, queue, job_type, limit_group, priority, ready_seq)
    WHERE ready_seq IS NOT NULL AND limit_group IS NOT NULL;

-- Which jobs wait for a worker.
CREATE INDEX CONCURRENTLY jobs_preferred ON {schema}.jobs (preferred_worker, priority, scheduled_for) WHERE preferred_worker IS NOT NULL;
