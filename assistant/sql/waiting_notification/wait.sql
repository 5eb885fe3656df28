-- Takes notification_id, user_id, not_by, due_at (null: there is no way to the person), keep_s. Has it wait; what waits for a way of this person
-- for longer than keep_s is forgotten: it is no news, and stays on the web.
WITH forgotten AS (
    DELETE FROM {schema}.waiting_notifications
    WHERE user_id IS NOT DISTINCT FROM %(user_id)s AND due_at IS NULL
      AND created_at < clock_timestamp() - make_interval(secs => %(keep_s)s)
)
INSERT INTO {schema}.waiting_notifications (notification_id, user_id, not_by, due_at, created_at)
SELECT id, %(user_id)s, %(not_by)s, %(due_at)s, created_at FROM {schema}.notifications WHERE id = %(notification_id)s
