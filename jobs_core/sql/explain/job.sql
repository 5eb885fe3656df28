-- Takes id. Returns what stands of a living job that says why it does not run, and by now, Postgres' clock. Locks nothing.
SELECT j.id, j.job_type, j.queue, j.priority, j.state, j.lane, j.lane_pos, j.ready_seq, coalesce(j.alone, j.limited_alone) AS alone,
       j.limit_group, j.scheduled_for, j.debounce_until, j.token, j.sticky_key, j.preferred_worker, j.wait_event, j.wait_until,
       j.waiting_since, j.first_priority, j.retry_count, j.last_error, j.worker_id, j.claimed_at, j.started_at,
       c.asked_at AS cancel_asked_at, clock_timestamp() AS now
FROM {schema}.jobs AS j LEFT JOIN {schema}.cancel_requests AS c ON c.job_id = j.id
WHERE j.id = %(id)s
