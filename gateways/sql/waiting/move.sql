-- Takes id, dc_id, location. Notes where Telegram keeps the file now: the old word for it is valid no longer.
UPDATE {schema}.telegram_waiting SET dc_id = %(dc_id)s, location = %(location)s WHERE id = %(id)s
