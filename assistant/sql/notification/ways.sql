-- Takes user_id. Returns account (of ours; null: the channel's only one), chat of each private chat at Telegram that they have with us from the
-- number that they are written to, the one first by which they came last: an account that only another phone of theirs has met cannot write to
-- that one. Such a chat has the number at its end, and no other, or behind it a point and who they were when the number's chat was somebody
-- else's. An owner who has paired and said nothing since has one by the account by which they came. None is by an account that is out of use. Locks nothing.
WITH chats AS (
    SELECT s.account, s.session_id AS chat, said.id AS said
    FROM {schema}.chat_sessions AS s
    JOIN {schema}.users AS u ON u.id = s.user_id
    JOIN {schema}.user_channels AS c ON c.user_id = s.user_id AND c.channel = 'telegram' AND c.address = u.tg_user_id::text
        AND split_part(s.session_id, '.', 1) IN ('telegram_' || c.address, 'telegram_' || s.account || '_' || c.address)
    LEFT JOIN LATERAL (
        SELECT m.id FROM {schema}.chat_message_history AS m
        WHERE m.session_id = s.session_id AND m.type = 'human' ORDER BY m.id DESC LIMIT 1
    ) AS said ON true
    WHERE s.user_id = %(user_id)s AND s.channel = 'telegram'
)
SELECT account, chat FROM (
    SELECT account, chat, said FROM chats
    UNION ALL
    SELECT c.account, 'telegram_' || c.address, NULL
    FROM {schema}.user_channels AS c JOIN {schema}.users AS u ON u.id = c.user_id AND u.role = 'owner'
        AND c.address = u.tg_user_id::text
    WHERE c.user_id = %(user_id)s AND c.channel = 'telegram' AND c.account IS NOT NULL AND NOT EXISTS (SELECT FROM chats)
) AS ways
WHERE NOT EXISTS (
    SELECT FROM {schema}.accounts_out_of_use AS o WHERE o.channel = 'telegram' AND o.account = coalesce(ways.account, 'telegram')
)
ORDER BY said DESC NULLS LAST, chat
