-- Takes arrays of one length, an element a message, in the order wanted: session_ids, contents. Adds human messages that no turn has bound
-- yet, without files and keys. Returns of each, in that order, which is that of the ids: id, and waits, whether its chat waits for a
-- decision (action/pending_in). Locks nothing; call it after the jobs were created, which locks their lanes: what a turn asked
-- before is seen then.
INSERT INTO {schema}.chat_message_history AS h (session_id, type, content, file_bytes)
SELECT said.session_id, 'human', said.content, 0
FROM unnest(%(session_ids)s::text[], %(contents)b::text[]) WITH ORDINALITY AS said (session_id, content, ordinal)
ORDER BY said.ordinal
RETURNING id, EXISTS (
    SELECT FROM {schema}.pending_actions AS a
    WHERE a.session_id = h.session_id AND a.state = 'pending' AND EXISTS (SELECT FROM {schema}.jobs AS j WHERE j.id = a.job_id)
) AS waits
