-- Takes id (a parent's, which the caller has locked in a statement before this one, its child having ended since).
-- Makes it ready if it waits for its children and none is left. Returns queue, job_type of it, or no row.
UPDATE {schema}.jobs AS j
SET state = 'pending', ready_seq = nextval('{schema}.ready_seq'), wait_event = NULL, wait_until = NULL, waiting_since = NULL,
    give_up_at = j.give_up_at + (clock_timestamp() - j.waiting_since)
        - make_interval(secs => {schema}.paused_s(j.queue, j.job_type, j.waiting_since))
WHERE j.id = %(id)s AND j.wait_event = 'jobs:children'
  AND NOT EXISTS (SELECT FROM {schema}.jobs AS child WHERE child.parent_id = %(id)s)
RETURNING j.queue, j.job_type
