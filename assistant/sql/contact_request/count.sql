-- Takes id, kept, bytes, dropped. Adds to what a request counts; returns its columns. Under user/hold.
UPDATE {schema}.contact_requests
SET kept = kept + %(kept)s, kept_bytes = kept_bytes + %(bytes)s, dropped = dropped + %(dropped)s
WHERE id = %(id)s
RETURNING id, user_id, channel, address, first_words, kept, dropped, state, created_at, decided_by, decided_at
