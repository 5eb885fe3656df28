-- Takes worker_id. It is no key's last worker any more. Locks these rows.
DELETE FROM {schema}.sticky_keys WHERE worker_id = %(worker_id)s
