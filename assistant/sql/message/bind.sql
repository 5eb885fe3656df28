-- Takes session_id, turn_id. Binds all human messages of the chat that no turn has taken; returns id, content of each, in no
-- order. Locks them.
-- Why it is right when two race: of two that bind at once the second waits and then finds the rows taken. A message that is
-- committed after this statement began stays unbound; the job that came with it stands behind this one in the chat's lane.
UPDATE {schema}.chat_message_history SET turn_id = %(turn_id)s
WHERE session_id = %(session_id)s AND type = 'human' AND turn_id IS NULL AND ended_at IS NULL
RETURNING id, content
