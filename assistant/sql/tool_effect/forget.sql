-- Takes turn_id. Forgets what tools did in a turn that has ended: nobody goes on with it.
DELETE FROM {schema}.tool_effects WHERE turn_id = %(turn_id)s
