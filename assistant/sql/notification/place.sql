-- Gives a place to the first 50,000 that have none, in the order of their ids. Under notification/lock_places, which was taken in a
-- statement before: so this one sees all that the last holder placed, and its places are committed before the next holder's are drawn.
-- Who has seen a place has seen all lower ones. A row that somebody marks as read just now is left to the next call.
WITH new AS MATERIALIZED (
    SELECT id FROM {schema}.notifications WHERE seq IS NULL ORDER BY id LIMIT 50000 FOR UPDATE SKIP LOCKED
), placed AS MATERIALIZED (
    SELECT id, nextval('{schema}.notification_seqs') AS seq FROM new ORDER BY id
)
UPDATE {schema}.notifications AS n SET seq = placed.seq FROM placed WHERE n.id = placed.id
