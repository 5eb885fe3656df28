-- Takes user_id, key. Returns digest, session_id, message_id, job_id of what came under this key, with files; or no row. Locks nothing.
SELECT digest, session_id, message_id, job_id FROM {schema}.api_sends WHERE user_id = %(user_id)s AND key = %(key)s
