-- Takes turn_id, tool, digest, call_id, run_id, result. Records what a call did, in the transaction in which it did so.
INSERT INTO {schema}.tool_effects (turn_id, tool, digest, call_id, run_id, result)
VALUES (%(turn_id)s, %(tool)s, %(digest)s, %(call_id)s, %(run_id)s, %(result)s)
