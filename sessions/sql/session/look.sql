-- Takes id, epoch. Returns has_transcript of the session while that epoch is its own, no row when another run has taken it since.
-- Locks nothing: what is written later is fenced for itself (session/fence).
SELECT has_transcript FROM {schema}.sessions WHERE id = %(id)s AND epoch = %(epoch)s
