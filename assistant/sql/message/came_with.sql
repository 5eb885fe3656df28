-- Takes id, job_id. Notes the job that came with a message that has a key, for whoever repeats it.
UPDATE {schema}.chat_message_history SET job_id = %(job_id)s WHERE id = %(id)s
