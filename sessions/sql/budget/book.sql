-- Takes ids of accounts, spent_usd. Books the amount in each; budget/give_back came before, for the same run, and locked them.
UPDATE {schema}.budget_accounts SET spent_usd = spent_usd + %(spent_usd)s WHERE id = ANY(%(ids)s)
