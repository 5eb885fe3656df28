-- Takes user_id, before_id, most. Returns files: how many of this person's files that came before that one were refused in the last 24
-- hours; counts up to `most`. Locks nothing.
SELECT count(*)::integer AS files FROM (
    SELECT FROM {schema}.media_files
    WHERE user_id = %(user_id)s AND created_at > clock_timestamp() - interval '1 day' AND state = 'refused' AND id < %(before_id)s
    ORDER BY created_at LIMIT %(most)s
) AS refused
