-- Takes id, into. The one turned out to be the other, who was not merged; so did those who had turned out to be the one.
-- Under user/lock.
UPDATE {schema}.users SET merged_into = %(into)s WHERE id = %(id)s OR merged_into = %(id)s
