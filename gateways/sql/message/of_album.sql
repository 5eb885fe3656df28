-- Takes account, chat_id, album, sender_id. Returns a row where a part of that album of this person was taken in. Locks nothing: an account's
-- messages come in by one process, one after another.
SELECT FROM {schema}.telegram_messages
WHERE account = %(account)s AND chat_id = %(chat_id)s AND grouped_id = %(album)s AND direction = 'in' AND sender_id = %(sender_id)s
LIMIT 1
