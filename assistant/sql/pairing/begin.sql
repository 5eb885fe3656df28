-- Takes digest, valid_s. Makes this the one code that counts, of which nothing was guessed yet; returns expires_at. Locks its row.
WITH guesses AS (
    DELETE FROM {schema}.pairing_guesses
)
INSERT INTO {schema}.pairing_codes (digest, expires_at)
VALUES (%(digest)s, clock_timestamp() + make_interval(secs => %(valid_s)s))
ON CONFLICT (one) DO UPDATE SET digest = excluded.digest, expires_at = excluded.expires_at, wrong = 0
RETURNING expires_at
