-- Takes id. Returns the job if it lives, with the columns of JobView. Locks nothing.
SELECT id, job_type, queue, priority, state, input, NULL::jsonb AS result, last_error AS error, user_id, task_id, project_id,
       lane, unique_key, NULL AS retention, scheduled_for, give_up_at, worker_id, token, retry_count, lost_count, created_at,
       claimed_at, started_at, NULL::timestamptz AS ended_at, parent_id, retry_of, NULL::bigint AS redriven_as,
       CASE WHEN starts_with(limit_group, '[[') THEN limit_group::jsonb #>> '{0,0}' END AS fair_key, first_priority, debounce_until
FROM {schema}.jobs WHERE id = %(id)s
