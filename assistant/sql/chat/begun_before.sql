-- Takes session_id, user_id. Returns a row if this chat was begun before there were users, and the user is an owner, whose it is.
SELECT FROM {schema}.chat_sessions
WHERE session_id = %(session_id)s AND user_id IS NULL
  AND EXISTS (SELECT FROM {schema}.users WHERE id = %(user_id)s AND role = 'owner')
