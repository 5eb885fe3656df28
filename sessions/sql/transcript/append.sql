-- Takes session_id, subpath, epoch and arrays of equal length in the entries' order: entry_uuids (null: it has none), entries.
-- An entry whose uuid is stored already is left out: the SDK sends a batch again when it did not learn that it was committed.
-- The first entries also mark the session as one that has a transcript. Touches as many rows as were new.
-- Locks the session's row, which its caller holds FOR SHARE (session/fence), for the mark.
-- Why it is right when two race: only the holder of the session's epoch gets here (session/fence), and it sends one batch at a
-- time, so that seq is the order in which the entries were written.
WITH begun AS (
    UPDATE {schema}.sessions SET has_transcript = true WHERE id = %(session_id)s AND NOT has_transcript
)
INSERT INTO {schema}.transcript_entries (session_id, subpath, entry_uuid, epoch, entry)
SELECT %(session_id)s, %(subpath)s, u.entry_uuid, %(epoch)s, u.entry
FROM unnest(%(entry_uuids)s::text[], %(entries)s::text[]) WITH ORDINALITY AS u (entry_uuid, entry, ordinal)
ORDER BY u.ordinal
ON CONFLICT (session_id, subpath, entry_uuid) DO NOTHING
