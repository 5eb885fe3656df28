-- Takes limit. Returns the newest open requests, the oldest of them first: id, channel, address, first_words, kept, dropped, and as who the person is
-- known: user_id, name, username, role, tg_user_id, created_at, seen_at, admission.
-- Locks the people, as user/hold does: whoever decides about one meanwhile waits, and then sees the cards that are owed of it here.
SELECT r.id, r.channel, r.address, r.first_words, r.kept, r.dropped, u.id AS user_id, u.name, u.username, u.role, u.tg_user_id, u.created_at,
       u.seen_at, u.admission
FROM {schema}.contact_requests AS r JOIN {schema}.users AS u ON u.id = r.user_id
WHERE r.state = 'open' AND r.id IN (SELECT id FROM {schema}.contact_requests WHERE state = 'open' ORDER BY id DESC LIMIT %(limit)s)
ORDER BY r.id
FOR NO KEY UPDATE OF u
