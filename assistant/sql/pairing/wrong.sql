-- Takes sender. Counts a wrong guess, of this sender and of all. Under pairing/hold.
WITH all_guesses AS (
    UPDATE {schema}.pairing_codes SET wrong = wrong + 1
)
INSERT INTO {schema}.pairing_guesses AS g (sender, wrong) VALUES (%(sender)s, 1)
ON CONFLICT (sender) DO UPDATE SET wrong = g.wrong + 1
