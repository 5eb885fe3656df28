-- Takes ids, due_at (null: for a way). These wait for that. Under waiting_notification/take.
UPDATE {schema}.waiting_notifications SET due_at = %(due_at)s WHERE notification_id = ANY(%(ids)s) AND due_at IS DISTINCT FROM %(due_at)s
