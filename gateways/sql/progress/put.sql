-- Takes turn_id, account, chat_id, message_id. Notes which message shows how a turn goes. One turn is shown by one process at a time;
-- of two that race the later message stands, as it is the one that goes on.
INSERT INTO {schema}.telegram_progress (turn_id, account, chat_id, message_id)
VALUES (%(turn_id)s, %(account)s, %(chat_id)s, %(message_id)s)
ON CONFLICT (turn_id) DO UPDATE SET account = excluded.account, chat_id = excluded.chat_id, message_id = excluded.message_id
