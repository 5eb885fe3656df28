-- Takes ids of human messages. Returns id, type (ai: answered, system: failed), content of the end of the turn that bound
-- each; a message whose turn has not ended has no row. Locks nothing.
SELECT said.id, ended.type, ended.content
FROM {schema}.chat_message_history AS said
JOIN {schema}.chat_message_history AS ended ON ended.turn_id = said.turn_id AND ended.type IN ('ai', 'system')
WHERE said.id = ANY(%(ids)s::bigint[]) AND said.type = 'human'
