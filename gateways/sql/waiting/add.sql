-- Takes account, chat_id, message_id, session_id, user_id, grouped_id, before, content, forwarded, file_id, dc_id, location,
-- held_id (null: of nobody who is held). Adds a message that waits. Returns id.
INSERT INTO {schema}.telegram_waiting
    (account, chat_id, message_id, session_id, user_id, grouped_id, before, content, forwarded, file_id, dc_id, location,
     held_id)
VALUES (%(account)s, %(chat_id)s, %(message_id)s, %(session_id)s, %(user_id)s, %(grouped_id)s, %(before)s, %(content)s, %(forwarded)s,
        %(file_id)s, %(dc_id)s, %(location)s, %(held_id)s)
RETURNING id
