-- Takes before (a time). Forgets the redrives before it: the jobs that were redriven then are in no history any more. Locks them.
DELETE FROM {schema}.redrives WHERE redriven_at < %(before)s::timestamptz
