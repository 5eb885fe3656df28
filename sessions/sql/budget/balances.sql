-- Takes ids of accounts. Returns, of those that stand under a cap, the columns of Balance. Locks nothing: where it decides anything,
-- its caller holds them (budget/lock), in a statement of its own before, so that what others have reserved is seen.
SELECT id, scope, key, period, starts_on, spent_usd, reserved_usd, allowed_usd, left_usd, ends_at FROM {schema}.budget_balances
WHERE id = ANY(%(ids)s) AND cap_usd IS NOT NULL
