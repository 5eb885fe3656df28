-- Takes ids. These wait no longer. Under waiting_notification/take.
DELETE FROM {schema}.waiting_notifications WHERE notification_id = ANY(%(ids)s)
