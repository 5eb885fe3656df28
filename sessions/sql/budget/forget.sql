-- Takes days. Deletes the accounts that nobody has touched for so long, that no run holds anything of and nobody waits for; those of
-- chats, users, projects and agents only when their period is over. Locks them, skipping those that somebody holds.
DELETE FROM {schema}.budget_accounts WHERE id IN (
    SELECT a.id FROM {schema}.budget_accounts AS a
    WHERE a.touched_at < clock_timestamp() - make_interval(days => %(days)s)
      AND (a.scope IN ('turn', 'job') OR a.starts_on < {schema}.budget_start(a.period))
      AND NOT EXISTS (SELECT FROM {schema}.budget_holds AS h WHERE h.account_id = a.id)
      AND NOT EXISTS (SELECT FROM {schema}.budget_waits AS w WHERE w.account_id = a.id AND w.event IS NOT NULL)
    FOR UPDATE SKIP LOCKED
)
