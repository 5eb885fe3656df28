-- Makes processes that migrate at once take turns. The lock ends with the transaction, so it works through any pooler;
-- it only spares work: what keeps a file from being applied twice is the primary key of migrations.
SELECT pg_advisory_xact_lock(hashtextextended('{schema}.migrations', 0))
