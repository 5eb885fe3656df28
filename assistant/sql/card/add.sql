-- Takes delivery_id, about. Notes what a card is about, in the transaction that owes it.
INSERT INTO {schema}.cards (delivery_id, latest_id, about) VALUES (%(delivery_id)s, %(delivery_id)s, %(about)s)
