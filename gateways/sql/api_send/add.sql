-- Takes user_id, key, digest, session_id, message_id, job_id: what came under a key, with files. In the transaction that takes the message in, whose
-- own key lets no other one come so far.
INSERT INTO {schema}.api_sends (user_id, key, digest, session_id, message_id, job_id)
VALUES (%(user_id)s, %(key)s, %(digest)s, %(session_id)s, %(message_id)s, %(job_id)s)
