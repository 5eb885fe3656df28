-- Takes lane, state, delivery_id. Notes that a lane's last delivery did not arrive; touches no row where that was so before, in the
-- same way. Deliveries of a lane end one after another.
INSERT INTO {schema}.delivery_troubles AS t (lane, state, delivery_id) VALUES (%(lane)s, %(state)s, %(delivery_id)s)
ON CONFLICT (lane) DO UPDATE SET state = excluded.state, delivery_id = excluded.delivery_id, since = excluded.since
WHERE t.state <> excluded.state
