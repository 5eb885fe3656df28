-- Takes about. Returns delivery_id, latest_id, channel, account, chat, user_id of each card about it, in the order of their lanes'
-- rows being locked later. Locks nothing: whoever changes cards holds what they are about.
SELECT c.delivery_id, c.latest_id, d.channel, d.account, d.chat, d.user_id
FROM {schema}.cards AS c
JOIN {schema}.deliveries AS d ON d.id = c.delivery_id
WHERE c.about = %(about)s
ORDER BY d.account, d.chat NULLS LAST, d.user_id
