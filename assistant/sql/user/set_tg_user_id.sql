-- Takes id, tg_user_id (or null: they have none any more). Under user/lock.
UPDATE {schema}.users SET tg_user_id = %(tg_user_id)s WHERE id = %(id)s
