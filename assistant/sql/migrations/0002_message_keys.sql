-- A message that came with an idempotency key is one message in its chat however often it is sent, for as long as it is kept.

ALTER TABLE {schema}.chat_message_history
    ADD COLUMN idempotency_key  text COLLATE "C",
    ADD COLUMN job_id           bigint;     -- with a key: the job that came with the message

CREATE UNIQUE INDEX chat_message_history_key ON {schema}.chat_message_history (session_id, idempotency_key)
    WHERE idempotency_key IS NOT NULL;
