-- Budgets: what may be spent on models, on whose account, and what runs have reserved of it. Amounts are US dollars, exact.
--
-- A cap says how much a key may spend in a period. An account is one such key in one period; it is made by the first run that
-- meets a cap, so a cap counts from when it was set. Nobody changes an account's amounts without its row locked, in the order of ids.

CREATE TABLE {schema}.budget_caps (
    scope    text COLLATE "C" NOT NULL CHECK (scope IN ('turn', 'job', 'chat', 'user', 'project', 'agent', 'day')),
    key      text COLLATE "C" NOT NULL,     -- '*': of each key of the scope that has no cap of its own for that period
    period   text COLLATE "C" NOT NULL CHECK (period IN ('once', 'day', 'month')),
    cap_usd  numeric CHECK (cap_usd >= 0 AND cap_usd < 'Infinity'),     -- null: no cap, and somebody said so
    by_hand  boolean NOT NULL,              -- false: a default, which workers set from their settings when they start
    set_by   text NOT NULL,
    set_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (scope, key, period),
    CHECK (scope <> 'day' OR (key = '*' AND period = 'day')),
    CHECK (scope NOT IN ('turn', 'job') OR period = 'once')
);

CREATE TABLE {schema}.budget_accounts (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    scope         text COLLATE "C" NOT NULL,
    key           text COLLATE "C" NOT NULL,
    period        text COLLATE "C" NOT NULL,
    starts_on     date NOT NULL,            -- the first UTC day of the period; of `once`, 1970-01-01
    spent_usd     numeric NOT NULL DEFAULT 0 CHECK (spent_usd >= 0 AND spent_usd < 'Infinity'),
    reserved_usd  numeric NOT NULL DEFAULT 0 CHECK (reserved_usd >= 0 AND reserved_usd < 'Infinity'),  -- the sum of its holds
    raised_usd    numeric NOT NULL DEFAULT 0 CHECK (raised_usd >= 0 AND raised_usd < 'Infinity'),   -- for this period only
    touched_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (scope, key, period, starts_on)
) WITH (fillfactor = 50);

-- What one run has reserved, a row for each account that it spends from. A run that died leaves its rows; somebody settles them.
CREATE TABLE {schema}.budget_holds (
    turn_id     uuid NOT NULL,
    token       bigint NOT NULL,            -- of the claim whose run it is
    account_id  bigint NOT NULL REFERENCES {schema}.budget_accounts,
    job_id      bigint NOT NULL,
    usd         numeric NOT NULL CHECK (usd > 0 AND usd < 'Infinity'),
    PRIMARY KEY (turn_id, token, account_id)
);
CREATE INDEX budget_holds_account ON {schema}.budget_holds (account_id);

-- Jobs that wait for money, a row each, from when they first came short until they got some.
CREATE TABLE {schema}.budget_waits (
    job_id      bigint PRIMARY KEY,
    account_id  bigint NOT NULL REFERENCES {schema}.budget_accounts ON DELETE CASCADE,
    needs_usd   numeric NOT NULL,           -- with less than that left it need not try
    event       text COLLATE "C",           -- what lets it go on; null: it was told to
    since       timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX budget_waits_account ON {schema}.budget_waits (account_id, since) WHERE event IS NOT NULL;

-- Takes a period. Returns its first day, which is one throughout a transaction.
CREATE FUNCTION {schema}.budget_start(period text) RETURNS date LANGUAGE sql STABLE AS $$
    SELECT CASE period
        WHEN 'day' THEN (now() AT TIME ZONE 'UTC')::date
        WHEN 'month' THEN date_trunc('month', now() AT TIME ZONE 'UTC')::date
        ELSE date '1970-01-01'
    END
$$;

-- Accounts with the cap that each stands under: its key's own, else the default of its scope. Null, all three: no cap.
CREATE VIEW {schema}.budget_balances AS
SELECT a.id, a.scope, a.key, a.period, a.starts_on, a.spent_usd, a.reserved_usd, a.raised_usd, c.cap_usd,
       c.cap_usd + a.raised_usd AS allowed_usd,
       c.cap_usd + a.raised_usd - a.spent_usd - a.reserved_usd AS left_usd,
       CASE a.period
           WHEN 'day' THEN (a.starts_on + 1)::timestamp AT TIME ZONE 'UTC'
           WHEN 'month' THEN (a.starts_on + interval '1 month') AT TIME ZONE 'UTC'
       END AS ends_at
FROM {schema}.budget_accounts AS a
LEFT JOIN LATERAL (
    SELECT cap_usd FROM {schema}.budget_caps
    WHERE scope = a.scope AND period = a.period AND key IN (a.key, '*')
    ORDER BY key = '*' LIMIT 1
) AS c ON true;
