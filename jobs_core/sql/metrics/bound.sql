-- Bounds what the statements of this transaction may take: a look that is slow is worth less than what it looks at. Compiling such a
-- statement would take longer than it does.
SELECT set_config('statement_timeout', '2s', true), set_config('lock_timeout', '100ms', true), set_config('jit', 'off', true),
       set_config('transaction_read_only', 'on', true)
