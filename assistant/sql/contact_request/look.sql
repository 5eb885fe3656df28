-- Takes user_id, pause_s. Returns admission, asks_again (whether they were denied longer ago than that), id, kept, kept_bytes, dropped:
-- the last four of the request about them that is open, null where none is. Under user/hold, in a statement of its own before: this
-- one sees what that waited for.
SELECT u.admission, u.admission = 'denied' AND u.admission_at < clock_timestamp() - make_interval(secs => %(pause_s)s) AS asks_again,
       r.id, r.kept, r.kept_bytes, r.dropped
FROM {schema}.users AS u
LEFT JOIN {schema}.contact_requests AS r ON r.user_id = u.id AND r.state = 'open'
WHERE u.id = %(user_id)s
