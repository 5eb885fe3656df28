-- Takes user_id, state, decided_by. Closes the open request about this person, and those about people who turned out to be them: of two one
-- stayed open. Returns id, channel, address, first_words, kept, dropped, state, decided_at of each. Under user/hold.
UPDATE {schema}.contact_requests AS r SET state = %(state)s, decided_by = %(decided_by)s, decided_at = clock_timestamp()
FROM {schema}.users AS u
WHERE r.state = 'open' AND u.id = r.user_id AND coalesce(u.merged_into, u.id) = %(user_id)s
RETURNING r.id, r.channel, r.address, r.first_words, r.kept, r.dropped, r.state, r.decided_at
