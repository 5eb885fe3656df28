-- Takes sender, most_of_sender, most. Returns digest of the code, if it counts and this sender may try it; no row: it does not, or they may
-- not. Locks it: of two that try it the second looks when the first is done, and then finds it used, or the guesses counted.
SELECT digest FROM {schema}.pairing_codes
WHERE expires_at > clock_timestamp() AND wrong < %(most)s
  AND NOT EXISTS (SELECT FROM {schema}.pairing_guesses WHERE sender = %(sender)s AND wrong >= %(most_of_sender)s)
FOR UPDATE
