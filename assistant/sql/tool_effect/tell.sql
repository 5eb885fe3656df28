-- Takes turn_id, tool, digest, run_id. Notes that this run was told of what an earlier one did. The caller holds the turn's lock.
UPDATE {schema}.tool_effects SET told_to = %(run_id)s
WHERE turn_id = %(turn_id)s AND tool = %(tool)s AND digest = %(digest)s
