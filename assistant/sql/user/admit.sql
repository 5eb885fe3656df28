-- Takes id, admission. Says what becomes of whatever this person says. Under user/hold.
UPDATE {schema}.users SET admission = %(admission)s, admission_at = clock_timestamp() WHERE id = %(id)s
