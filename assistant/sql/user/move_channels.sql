-- Takes id, into. All channels of the one are the other's from now on. Under user/lock.
UPDATE {schema}.user_channels SET user_id = %(into)s WHERE user_id = %(id)s
