-- Takes turn_id, token. Returns the tokens of other runs of the turn that hold something.
SELECT DISTINCT token FROM {schema}.budget_holds WHERE turn_id = %(turn_id)s AND token <> %(token)s
