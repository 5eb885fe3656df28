-- Takes id. Locks that account. Returns a row, if there is one.
SELECT FROM {schema}.budget_accounts WHERE id = %(id)s FOR UPDATE
