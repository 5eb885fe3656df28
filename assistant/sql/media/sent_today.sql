-- Takes user_id. Returns files, bytes: of all that they have sent in the last 24 hours and that was not refused. Locks nothing: two
-- that come at once by two accounts may both find room for the last file, which harms nobody.
SELECT count(*)::integer AS files, coalesce(sum(coalesce(bytes, claimed_bytes)), 0)::bigint AS bytes FROM {schema}.media_files
WHERE user_id = %(user_id)s AND created_at > clock_timestamp() - interval '1 day' AND state <> 'refused'
