-- Takes session_id, user_id. Returns theirs, as chat/find tells it: whether this person began that chat, or turned out to be whoever did; no row:
-- there is no such chat. Locks nothing: whose a chat is changes when two people turn out to be one, and then it is the one's.
SELECT CASE WHEN c.user_id IS NULL THEN EXISTS (SELECT FROM {schema}.users AS u WHERE u.id = %(user_id)s AND u.role = 'owner')
            ELSE coalesce((SELECT u.merged_into FROM {schema}.users AS u WHERE u.id = %(user_id)s), %(user_id)s)
                 IN (c.user_id, (SELECT u.merged_into FROM {schema}.users AS u WHERE u.id = c.user_id))
       END AS theirs
FROM {schema}.chat_sessions AS c
WHERE c.session_id = %(session_id)s
