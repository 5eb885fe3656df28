-- Takes account, chat_id, message_id, edit_date (null: the first version), session_id, user_id, grouped_id, content, file_id, dc_id,
-- location. Adds a message that waits. Returns id.
INSERT INTO {schema}.telegram_waiting
    (account, chat_id, message_id, edit_date, session_id, user_id, grouped_id, content, file_id, dc_id, location)
VALUES (%(account)s, %(chat_id)s, %(message_id)s, coalesce(%(edit_date)s::timestamptz, '-infinity'), %(session_id)s, %(user_id)s,
        %(grouped_id)s, %(content)s, %(file_id)s, %(dc_id)s, %(location)s)
RETURNING id
