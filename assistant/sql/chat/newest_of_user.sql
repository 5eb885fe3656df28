-- Takes user_id, before_at, before_id, limit. Returns the chats of a user made before that one, the newest first, each with its last message's time
-- and the first of its text (null: nothing was said). Locks nothing.
-- Written as a range, and not as user_id = …, so that only the index led by the user gives the order: in the one of all chats Postgres
-- would look for a user who has written little among all that others have.
SELECT c.session_id, c.channel, c.user_id, c.agent_name, c.title, c.is_active, c.created_at,
       last.created_at AS last_message_at, last.text AS last_message
FROM (
    SELECT * FROM {schema}.chat_sessions
    WHERE user_id >= %(user_id)s
      AND (user_id, created_at, session_id) < (%(user_id)s, %(before_at)s::timestamptz, %(before_id)s)
    ORDER BY user_id DESC, created_at DESC, session_id DESC
    LIMIT %(limit)s
) AS c
LEFT JOIN LATERAL (
    SELECT m.created_at, left(m.content, 200) AS text FROM {schema}.chat_message_history AS m
    WHERE m.session_id = c.session_id ORDER BY m.id DESC LIMIT 1
) AS last ON true
ORDER BY c.created_at DESC, c.session_id DESC
