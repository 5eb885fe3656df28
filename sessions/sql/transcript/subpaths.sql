-- Takes session_id. Returns subpath of each part of the transcript: '' the conversation itself, the rest its subagents'.
SELECT DISTINCT subpath FROM {schema}.transcript_entries WHERE session_id = %(session_id)s ORDER BY subpath
