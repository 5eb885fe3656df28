-- Takes account and arrays of one length, an element a message: chat_ids, message_ids, session_ids. Returns nth, from 1 on, of those that are not
-- known, and in whose chats nothing waits (waiting/any). Locks nothing.
SELECT said.nth::int AS nth
FROM unnest(%(chat_ids)s::bigint[], %(message_ids)s::int[], %(session_ids)s::text[])
     WITH ORDINALITY AS said (chat_id, message_id, session_id, nth)
WHERE NOT EXISTS (
    SELECT FROM {schema}.telegram_messages AS m
    WHERE m.account = %(account)s AND m.chat_id = said.chat_id AND m.message_id = said.message_id
) AND NOT EXISTS (SELECT FROM {schema}.telegram_waiting AS w WHERE w.session_id = said.session_id)
