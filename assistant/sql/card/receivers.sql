-- Takes may_decide (ids of people, and role:NAME), session_id (null: of no chat), most. Returns user_id, channel, account, chat of
-- those who may decide and can be shown it at Telegram: whoever the chat is with in that chat, if it is their private one (as
-- notification/ways tells it: nobody else reads what a call is made with, and no number that was unlinked); all others, owners and those
-- named by id, in their own, by the account of ours that they came by last from the number that they are written to. In the order of
-- their lanes. By accounts that are out of use nobody is shown anything. Locks nothing.
WITH closed AS (
    SELECT account FROM {schema}.accounts_out_of_use WHERE channel = 'telegram'
), place AS (
    SELECT c.session_id, c.account, u.id AS user_id, u.role, coalesce(c.account, 'telegram') NOT IN (SELECT account FROM closed) AND EXISTS (
        SELECT FROM {schema}.user_channels AS own
        WHERE own.user_id = u.id AND own.channel = 'telegram'
          AND split_part(c.session_id, '.', 1) IN ('telegram_' || own.address, 'telegram_' || c.account || '_' || own.address)
    ) AS is_private
    FROM {schema}.chat_sessions AS c
    JOIN {schema}.users AS p ON p.id = c.user_id
    JOIN {schema}.users AS u ON u.id = coalesce(p.merged_into, p.id)
    WHERE c.session_id = %(session_id)s AND c.channel = 'telegram'
), deciders AS (
    SELECT coalesce(merged_into, id) AS id FROM {schema}.users WHERE id = ANY(%(may_decide)s::text[])
    UNION
    SELECT id FROM {schema}.users
    WHERE role = 'owner' AND merged_into IS NULL AND 'role:owner' = ANY(%(may_decide)s::text[])
    UNION
    SELECT user_id FROM place WHERE 'role:' || role = ANY(%(may_decide)s::text[])
), ways AS (
    SELECT d.id AS user_id, p.account, p.session_id AS chat FROM deciders AS d JOIN place AS p ON p.user_id = d.id AND p.is_private
    UNION ALL
    SELECT d.id, own.account, NULL
    FROM deciders AS d
    CROSS JOIN LATERAL (
        SELECT CASE WHEN c.account IS NOT NULL AND c.account NOT IN (SELECT account FROM closed) THEN c.account ELSE came.account END AS account
        FROM {schema}.users AS u
        JOIN {schema}.user_channels AS c ON c.user_id = u.id AND c.channel = 'telegram'
        LEFT JOIN LATERAL (
            SELECT s.account, true AS found FROM {schema}.chat_sessions AS s
            WHERE s.user_id = d.id AND s.channel = 'telegram'
              AND coalesce(s.account, 'telegram') NOT IN (SELECT account FROM closed)
              AND (c.account IS NULL OR split_part(s.session_id, '.', 1)
                   IN ('telegram_' || c.address, 'telegram_' || s.account || '_' || c.address))
            ORDER BY s.created_at DESC
            LIMIT 1
        ) AS came ON true
        WHERE u.id = d.id AND (c.account IS NOT NULL AND c.account NOT IN (SELECT account FROM closed) OR came.found)
        ORDER BY c.address = u.tg_user_id::text DESC NULLS LAST, c.account IS NULL, c.created_at DESC
        LIMIT 1
    ) AS own
    WHERE d.id NOT IN (SELECT user_id FROM place WHERE is_private)
)
SELECT user_id, 'telegram' AS channel, account, chat FROM ways ORDER BY account, chat NULLS LAST, user_id LIMIT %(most)s
