-- Takes the columns of a notification. Returns id, created_at. A person who became another is told as that one. Locks the person FOR SHARE until
-- the caller's transaction ends, so that one who becomes another meanwhile (user/merge waits) takes this along, and what waits of it.
INSERT INTO {schema}.notifications (user_id, title, body, category, severity, metadata)
VALUES (coalesce((SELECT coalesce(merged_into, id) FROM {schema}.users WHERE id = %(user_id)s::text FOR SHARE), %(user_id)s::text),
        %(title)s, %(body)s, %(category)s, %(severity)s, %(metadata)s::jsonb)
RETURNING id, created_at
