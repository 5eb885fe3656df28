-- Takes account, chat_id, message_id, content. A message that waits says something else. One row, or none where it waits no longer.
-- Why it is right when two race: whoever takes it in deletes the row; that waits for this one, or this one finds it gone.
UPDATE {schema}.telegram_waiting SET content = %(content)s
WHERE account = %(account)s AND chat_id = %(chat_id)s AND message_id = %(message_id)s
