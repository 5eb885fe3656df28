-- Takes channel, accounts. Has notifications wait for a way that are owed by these and certainly were not sent, in place of their deliveries, whose jobs
-- find nothing to do then. Returns user_id of each person (null: the owner's, whoever that is).
-- Locks those deliveries. Why it is right when a try begins (delivery/begin): of the two that lock the row the second sees what the first did.
WITH back AS (
    DELETE FROM {schema}.deliveries
    WHERE state = 'owed' AND unsure_since IS NULL AND kind = 'notification' AND payload ? 'notification_ids'
      AND channel = %(channel)s AND coalesce(account, channel) = ANY(%(accounts)s::text[])
    RETURNING payload
), waiting AS (
    INSERT INTO {schema}.waiting_notifications (notification_id, user_id, not_by, created_at)
    SELECT n.id, n.user_id, back.payload ->> 'not_by', n.created_at
    FROM back
    CROSS JOIN LATERAL jsonb_array_elements_text(back.payload -> 'notification_ids') AS one (id)
    JOIN {schema}.notifications AS n ON n.id = one.id::bigint
    ON CONFLICT (notification_id) DO NOTHING
    RETURNING user_id
)
SELECT DISTINCT user_id FROM waiting
