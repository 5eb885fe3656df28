-- Takes id, state, said, receiver_id. Ends a delivery that is owed; returns it, or no row. Called in the settling transaction. Locks
-- the row. Of an unknown one it stays on record since when.
UPDATE {schema}.deliveries
SET state = %(state)s, said = %(said)s, receiver_id = %(receiver_id)s, ended_at = clock_timestamp(),
    unsure_since = CASE WHEN %(state)s = 'unknown' THEN unsure_since END
WHERE id = %(id)s AND state = 'owed'
RETURNING id, owed_for, channel, account, chat, user_id, kind, payload, random_id, state, turn_id, created_at, job_id, tries, unsure_since,
    receiver_id, said, ended_at
