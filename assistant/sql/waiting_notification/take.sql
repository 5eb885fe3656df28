-- Takes user_id, is_owner. Returns all of theirs that waits, the oldest first: id, title, category, severity, read, created_at, not_by, had_way.
-- Locks those rows. Why it is right when two race: the second waits for the first one's commit, and finds the rows gone that went out.
SELECT w.notification_id AS id, n.title, n.category, n.severity, n.read, n.created_at, w.not_by, w.due_at IS NOT NULL AS had_way
FROM {schema}.waiting_notifications AS w JOIN {schema}.notifications AS n ON n.id = w.notification_id
WHERE w.user_id = %(user_id)s OR (%(is_owner)s AND w.user_id IS NULL)
ORDER BY w.notification_id
FOR UPDATE OF w
