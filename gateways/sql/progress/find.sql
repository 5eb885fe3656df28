-- Takes turn_id, account. Returns message_id of the message by which the account shows how the turn goes; no row: none does. Locks
-- nothing.
SELECT message_id FROM {schema}.telegram_progress WHERE turn_id = %(turn_id)s AND account = %(account)s
