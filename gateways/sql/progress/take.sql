-- Takes turn_id. Forgets which message showed how a turn went. Returns message_id; no row: none did. Locks the row.
DELETE FROM {schema}.telegram_progress WHERE turn_id = %(turn_id)s RETURNING message_id
