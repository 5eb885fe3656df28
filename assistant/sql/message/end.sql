-- Takes turn_id. Marks the human messages of a turn as ended; touches no row where they were before. Locks them.
UPDATE {schema}.chat_message_history SET ended_at = clock_timestamp()
WHERE turn_id = %(turn_id)s AND type = 'human' AND ended_at IS NULL
