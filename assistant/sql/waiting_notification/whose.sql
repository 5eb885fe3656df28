-- Returns user_id of each person for whom something waits for a way (null: the owner's, whoever that is). Locks nothing.
SELECT DISTINCT user_id FROM {schema}.waiting_notifications WHERE due_at IS NULL
