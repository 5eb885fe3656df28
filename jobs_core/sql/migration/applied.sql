-- Returns what has been applied, in no order.
SELECT room, number FROM {schema}.migrations
