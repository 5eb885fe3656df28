-- Takes id, content. Changes what a human message says that no turn has bound. Locks it; touches no row where one has.
-- Why it is right when two race: a turn that binds it waits and takes the new words, or came first and is seen.
UPDATE {schema}.chat_message_history SET content = %(content)s WHERE id = %(id)s AND type = 'human' AND turn_id IS NULL AND ended_at IS NULL
