-- Takes id, kept, bytes, dropped. Adds to what a request counts; returns id, channel, address, first_words, kept, dropped, state,
-- decided_at. Under user/hold.
UPDATE {schema}.contact_requests
SET kept = kept + %(kept)s, kept_bytes = kept_bytes + %(bytes)s, dropped = dropped + %(dropped)s
WHERE id = %(id)s
RETURNING id, channel, address, first_words, kept, dropped, state, decided_at
