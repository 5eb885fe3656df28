-- What a stranger said waits as any message with files does, until an owner has allowed it; where it is forgotten (deny, block), it goes with it.
ALTER TABLE {schema}.telegram_waiting ADD COLUMN held_id bigint REFERENCES {schema}.held_messages ON DELETE CASCADE;
CREATE INDEX telegram_waiting_held ON {schema}.telegram_waiting (held_id) WHERE held_id IS NOT NULL;
