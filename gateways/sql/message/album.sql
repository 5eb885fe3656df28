-- Takes account, chat_id, album. Returns history_id and own_from of the chat message that the album's parts so far are; no row: none came.
SELECT history_id, own_from FROM {schema}.telegram_messages
WHERE account = %(account)s AND chat_id = %(chat_id)s AND grouped_id = %(album)s AND history_id IS NOT NULL
ORDER BY message_id LIMIT 1
