-- What a stranger said waits as any message with files does, until an owner has allowed it; where it is forgotten (deny, block), it goes with it.
ALTER TABLE {schema}.telegram_waiting ADD COLUMN held_id bigint REFERENCES {schema}.held_messages ON DELETE CASCADE;
CREATE INDEX telegram_waiting_held ON {schema}.telegram_waiting (held_id) WHERE held_id IS NOT NULL;

-- Accounts that were out of use before there was a word for it: what is to be told goes by others.
INSERT INTO {schema}.accounts_out_of_use (channel, account)
SELECT 'telegram', lane FROM {schema}.telegram_accounts AS a
CROSS JOIN LATERAL (VALUES (a.name), (CASE WHEN a.prefix = 'telegram' THEN 'telegram' END)) AS named (lane)
WHERE a.state <> 'active' AND lane IS NOT NULL
ON CONFLICT DO NOTHING;
