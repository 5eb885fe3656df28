-- Takes turn_id. Calls that have effects in one turn go one after another: whoever holds this lock does so until its transaction
-- ends, and sees what those before it did in the statements that follow.
SELECT pg_advisory_xact_lock(hashtextextended('tool_effects ' || %(turn_id)s::uuid, 0))
