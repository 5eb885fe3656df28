-- Takes ids. These wait no longer. Returns id, content, held_id of each: its words as they are now; fewer rows: somebody has dropped the others.
-- Why it is right when two race: who changes or drops one meanwhile is waited for, or finds it gone.
DELETE FROM {schema}.telegram_waiting WHERE id = ANY(%(ids)s::bigint[]) RETURNING id, content, held_id
