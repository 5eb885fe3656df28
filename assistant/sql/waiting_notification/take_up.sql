-- Takes keep_s. Has wait what an older version has owed without a way, and forgets what of it is older than keep_s. Locks those deliveries.
WITH owed AS (
    DELETE FROM {schema}.deliveries
    WHERE state = 'owed' AND channel IS NULL AND job_id IS NULL AND kind = 'notification' AND starts_with(owed_for, 'notification:')
    RETURNING substr(owed_for, length('notification:') + 1)::bigint AS notification_id
)
INSERT INTO {schema}.waiting_notifications (notification_id, user_id, created_at)
SELECT n.id, n.user_id, n.created_at FROM owed JOIN {schema}.notifications AS n ON n.id = owed.notification_id
WHERE n.created_at > clock_timestamp() - make_interval(secs => %(keep_s)s)
ON CONFLICT (notification_id) DO NOTHING
