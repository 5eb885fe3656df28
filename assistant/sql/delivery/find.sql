-- Takes id. Returns the delivery, or no row. Locks nothing.
SELECT id, owed_for, channel, account, chat, user_id, kind, payload, random_id, state, turn_id, created_at, job_id, tries, unsure_since,
    receiver_id, said, ended_at
FROM {schema}.deliveries WHERE id = %(id)s
