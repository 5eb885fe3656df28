-- Takes account. Returns the mailboxes whose updates it follows: peer_id (0: its own), access_hash, checked_id (null: nobody looked yet)
-- and newest_id, of the newest message that was taken in or sent there (null: none).
SELECT s.peer_id, p.access_hash, s.checked_id,
       CASE WHEN s.peer_id = 0
            THEN (SELECT max(message_id) FROM {schema}.telegram_messages AS m WHERE m.account = s.account AND m.chat_id > -1000000000000)
            ELSE (SELECT max(message_id) FROM {schema}.telegram_messages AS m WHERE m.account = s.account AND m.chat_id = s.peer_id)
       END AS newest_id
FROM {schema}.telegram_update_states AS s LEFT JOIN {schema}.telegram_peers AS p USING (account, peer_id)
WHERE s.account = %(account)s
