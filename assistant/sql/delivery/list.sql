-- Takes states (null: any), before_id (null: from the newest), limit. Returns deliveries, the newest first. Locks nothing.
SELECT id, owed_for, channel, account, chat, user_id, kind, payload, random_id, state, turn_id, created_at, job_id, tries, unsure_since,
    receiver_id, said, ended_at
FROM {schema}.deliveries
WHERE (%(states)s::text[] IS NULL OR state = ANY(%(states)s)) AND (%(before_id)s::bigint IS NULL OR id < %(before_id)s)
ORDER BY id DESC
LIMIT %(limit)s
