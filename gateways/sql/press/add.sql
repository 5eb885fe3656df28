-- Takes account, query_id, chat_id, message_id, sender_id, shown. Notes a press. Raises a unique violation where it was taken in meanwhile:
-- then the whole transaction is repeated, and finds it.
INSERT INTO {schema}.telegram_presses (account, query_id, chat_id, message_id, sender_id, shown)
VALUES (%(account)s, %(query_id)s, %(chat_id)s, %(message_id)s, %(sender_id)s, %(shown)s)
