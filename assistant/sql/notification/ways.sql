-- Takes user_id. Returns account (of ours; null: the channel's only one), chat of each private chat that they have with us at Telegram, the
-- one first by which they came last. Such a chat has the person's own number there at its end, and no other (docs/deliveries.md). Locks nothing.
SELECT s.account, s.session_id AS chat
FROM {schema}.chat_sessions AS s
JOIN {schema}.user_channels AS c ON c.user_id = s.user_id AND c.channel = 'telegram'
    AND s.session_id IN ('telegram_' || c.address, 'telegram_' || s.account || '_' || c.address)
LEFT JOIN LATERAL (
    SELECT m.id FROM {schema}.chat_message_history AS m
    WHERE m.session_id = s.session_id AND m.type = 'human' ORDER BY m.id DESC LIMIT 1
) AS said ON true
WHERE s.user_id = %(user_id)s AND s.channel = 'telegram'
ORDER BY said.id DESC NULLS LAST, s.session_id
