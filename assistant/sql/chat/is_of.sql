-- Takes session_id, user_id. Returns one row where the chat is this user's, or of somebody who turned out to be them. Locks nothing.
-- Either of the two ids may be that of somebody who became the other after it was looked up.
SELECT FROM {schema}.chat_sessions AS c
WHERE c.session_id = %(session_id)s
  AND coalesce((SELECT u.merged_into FROM {schema}.users AS u WHERE u.id = %(user_id)s), %(user_id)s)
      IN (c.user_id, (SELECT u.merged_into FROM {schema}.users AS u WHERE u.id = c.user_id))
