-- Takes about, may_decide. Returns delivery_id, latest_id, channel, account, chat, user_id of each card about it, may (whether they whom it
-- was shown are still somebody who may decide: by id, whoever that is by now, or by role) and in_use (whether its account is), in the order of
-- their lanes' rows being locked later. Locks nothing: whoever changes cards holds what they are about.
SELECT c.delivery_id, c.latest_id, d.channel, d.account, d.chat, d.user_id,
       coalesce('role:' || u.role = ANY(%(may_decide)s::text[]) OR u.id IN (
           SELECT coalesce(n.merged_into, n.id) FROM {schema}.users AS n WHERE n.id = ANY(%(may_decide)s::text[])
       ), false) AS may,
       NOT EXISTS (
           SELECT FROM {schema}.accounts_out_of_use AS o WHERE o.channel = d.channel AND o.account = coalesce(d.account, d.channel)
       ) AS in_use
FROM {schema}.cards AS c
JOIN {schema}.deliveries AS d ON d.id = c.delivery_id
LEFT JOIN {schema}.users AS p ON p.id = d.user_id
LEFT JOIN {schema}.users AS u ON u.id = coalesce(p.merged_into, p.id)
WHERE c.about = %(about)s
ORDER BY d.account, d.chat NULLS LAST, d.user_id
