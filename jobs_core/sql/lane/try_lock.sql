-- Takes lanes. Returns lane of those whose rows it has locked until the transaction ends; those that others hold are passed
-- over, so that one open transaction on one lane stops nobody's upkeep. Like lane/lock, it stands before what looks.
SELECT lane FROM {schema}.lanes WHERE lane = ANY(%(lanes)s::text[]) ORDER BY lane FOR UPDATE SKIP LOCKED
