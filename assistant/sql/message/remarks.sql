-- Takes arrays of one length: session_ids, after_ids; most. Returns session_id, id, content of what these chats have said of themselves
-- (message/remark) in lines with higher ids, of each chat the newest `most`, in order. Locks nothing.
-- Such a line may be committed after one with a higher id, and is not found then: who watches learns of it from the chat's history.
SELECT said.session_id, said.id, said.content
FROM unnest(%(session_ids)s::text[], %(after_ids)s::bigint[]) AS at (session_id, after_id)
CROSS JOIN LATERAL (
    SELECT * FROM {schema}.chat_message_history AS m
    WHERE m.session_id = at.session_id AND m.id > at.after_id AND m.type = 'system' AND m.turn_id IS NULL
    ORDER BY m.id DESC LIMIT %(most)s
) AS said
ORDER BY said.session_id, said.id
