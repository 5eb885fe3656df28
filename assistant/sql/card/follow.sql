-- Takes delivery_id, latest_id. Notes which delivery changes a card now, in the transaction that owes it.
UPDATE {schema}.cards SET latest_id = %(latest_id)s WHERE delivery_id = %(delivery_id)s
