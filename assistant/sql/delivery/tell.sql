-- Takes chat, turn_id. Marks what did not arrive in a chat, and that its agent was not told of, as told in this turn; cards
-- and events are none of its. Locks them.
UPDATE {schema}.deliveries SET told_in = %(turn_id)s
WHERE chat = %(chat)s AND told_in IS NULL AND state IN ('failed', 'unknown', 'blocked') AND kind NOT IN ('card', 'event')
