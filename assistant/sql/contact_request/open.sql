-- Takes user_id, channel, address, first_words, most. Opens a request; returns id, and waiting: how many others are open. No row:
-- `most` are. Under user/hold; of two strangers at once both may be the last for whom there is room.
WITH others AS (
    SELECT count(*) AS waiting FROM (SELECT FROM {schema}.contact_requests WHERE state = 'open' LIMIT %(most)s) AS open
)
INSERT INTO {schema}.contact_requests (user_id, channel, address, first_words)
SELECT %(user_id)s, %(channel)s, %(address)s, %(first_words)s FROM others WHERE waiting < %(most)s
RETURNING id, (SELECT waiting FROM others) AS waiting
