-- Takes event, payload (JSON text or null). Returns first, woken: the function says what, and what it locks (0003_waits.sql).
SELECT first, woken FROM {schema}.emit(%(event)s, %(payload)s::jsonb)
