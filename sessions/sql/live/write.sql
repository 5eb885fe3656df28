-- Takes arrays of one length, a run each: session_ids, epochs (under which the run holds the session), topics, turn_ids, tokens,
-- seqs (no two alike), events (JSON arrays as text). Writes a row for each run that holds its session, and whose session nobody
-- else has locked. Returns written: the seqs of the rows that are there now, and holding: those of runs that hold their sessions.
-- What is in holding only was passed over, as somebody has the session locked; the run of what is in neither was replaced.
-- Locks the sessions FOR SHARE, as an append to a transcript does: a take, which updates the row, waits for it, so that whatever a
-- run wrote is committed before the next one writes anything, and a topic's rows are committed in the order of (token, seq). What is
-- locked is passed over, for other runs wait for this statement.
WITH given AS MATERIALIZED (
    SELECT * FROM unnest(%(session_ids)s::uuid[], %(epochs)s::bigint[], %(topics)s::text[], %(turn_ids)s::uuid[],
                         %(tokens)s::bigint[], %(seqs)s::bigint[], %(events)s::text[])
        AS run (session_id, epoch, topic, turn_id, token, seq, events)
), holding AS MATERIALIZED (
    SELECT given.seq FROM {schema}.sessions AS s JOIN given ON s.id = given.session_id AND s.epoch = given.epoch
), held AS MATERIALIZED (
    SELECT given.* FROM {schema}.sessions AS s JOIN given ON s.id = given.session_id AND s.epoch = given.epoch
    FOR SHARE OF s SKIP LOCKED
), written AS (
    INSERT INTO {schema}.live_events (topic, token, seq, turn_id, events)
    SELECT topic, token, seq, turn_id, events FROM held
    ON CONFLICT DO NOTHING
)
SELECT (SELECT array_agg(seq) FROM held) AS written, (SELECT array_agg(seq) FROM holding) AS holding
