-- Takes before, open_before, batch. Deletes ticks that were made before, those whose jobs were not seen to have ended before open_before.
-- Right when two race: one passes over what the other deletes.
DELETE FROM {schema}.schedule_ticks AS t
USING (
    SELECT schedule_id, slot FROM {schema}.schedule_ticks
    WHERE made_at < %(before)s AND (outcome IS NOT NULL OR made_at < %(open_before)s)
    ORDER BY made_at
    LIMIT %(batch)s
    FOR UPDATE SKIP LOCKED
) AS old
WHERE t.schedule_id = old.schedule_id AND t.slot = old.slot
