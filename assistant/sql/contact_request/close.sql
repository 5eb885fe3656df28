-- Takes user_id, state, decided_by. Closes the open request about this person; returns id, channel, address, first_words, kept,
-- dropped, state, decided_at, or no row. Under user/hold.
UPDATE {schema}.contact_requests SET state = %(state)s, decided_by = %(decided_by)s, decided_at = clock_timestamp()
WHERE user_id = %(user_id)s AND state = 'open'
RETURNING id, channel, address, first_words, kept, dropped, state, decided_at
