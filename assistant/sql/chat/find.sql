-- Takes session_id, channel, user_id (null: nobody is known). Returns is_active, and theirs: whether this user began the chat, or
-- turned out to be whoever did, or is an owner and it was begun before there were users; no row: that channel has no such chat.
-- Either of the two ids may be that of somebody who became the other after it was looked up.
-- Locks the chat FOR SHARE until the caller's transaction ends, so that a message is never added to a chat that is being
-- closed: closing updates the row and waits, or came first and is seen.
SELECT c.is_active,
       CASE WHEN %(user_id)s::text IS NULL THEN true
            WHEN c.user_id IS NULL THEN EXISTS (SELECT FROM {schema}.users AS u WHERE u.id = %(user_id)s AND u.role = 'owner')
            ELSE coalesce((SELECT u.merged_into FROM {schema}.users AS u WHERE u.id = %(user_id)s), %(user_id)s)
                 IN (c.user_id, (SELECT u.merged_into FROM {schema}.users AS u WHERE u.id = c.user_id))
       END AS theirs
FROM {schema}.chat_sessions AS c
WHERE c.session_id = %(session_id)s AND c.channel = %(channel)s
FOR SHARE OF c
