-- Takes session_id, limit, before_id (null: from the newest). Returns the newest messages of the chat, newest first; state is
-- a human message's only. Locks nothing.
SELECT m.id, m.type, m.content, m.turn_id, m.created_at,
       CASE WHEN m.type <> 'human' THEN NULL
            WHEN m.ended_at IS NULL THEN 'waiting'
            WHEN EXISTS (SELECT FROM {schema}.chat_message_history AS a WHERE a.turn_id = m.turn_id AND a.type = 'ai')
                THEN 'answered'
            ELSE 'failed'
       END AS state
FROM {schema}.chat_message_history AS m
WHERE m.session_id = %(session_id)s AND (%(before_id)s::bigint IS NULL OR m.id < %(before_id)s)
ORDER BY m.id DESC
LIMIT %(limit)s
