-- A role that may create jobs of given types, and nothing else: it has no right in {schema}, only in a schema of its own, with
-- one function, which runs with the rights of who made it. Run again to name other types.
-- jobs_core.roles fills in role and own (plain names) and types (quoted): such statements take no parameters.
-- Which types are allowed stands in the function, and who may call it is Postgres' own privilege: there is no table to keep, and
-- no name of a session to trust, which SET ROLE, or a superuser's maintenance of somebody's index, would change.
-- The path is fixed: an operator or a function of the caller's making would run here with the owner's rights.
DO $do$
BEGIN
    IF EXISTS (SELECT FROM pg_namespace WHERE nspname = '{own}' AND pg_get_userbyid(nspowner) <> current_user) THEN
        RAISE EXCEPTION 'schema {own} belongs to somebody else';
    END IF;
    IF EXISTS (SELECT FROM pg_class WHERE relnamespace = to_regnamespace('{own}')) THEN  -- another queue, whose `create` would go
        RAISE EXCEPTION 'schema {own} holds tables, so it is somebody else''s';
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN
        CREATE ROLE "{role}" NOLOGIN;
    END IF;
    IF has_schema_privilege('{role}', '{schema}'::regnamespace, 'USAGE') THEN
        RAISE EXCEPTION 'role {role} has rights in the schema of the queue already';
    END IF;
END
$do$;
CREATE SCHEMA IF NOT EXISTS "{own}";
DROP FUNCTION IF EXISTS "{own}".create;  -- it may have fewer arguments: both would be there
CREATE FUNCTION "{own}".create(
    job_type text,
    input jsonb DEFAULT '{}',
    user_id text DEFAULT NULL,
    task_id bigint DEFAULT NULL,
    project_id text DEFAULT NULL,
    queue text DEFAULT NULL,
    priority integer DEFAULT NULL,
    scheduled_for timestamptz DEFAULT NULL,
    lane text DEFAULT NULL,
    idempotency_key text DEFAULT NULL,
    unique_key text DEFAULT NULL,
    unique_while text DEFAULT NULL,
    limits jsonb DEFAULT NULL,
    fair_by text DEFAULT NULL,
    debounce interval DEFAULT NULL,
    debounce_at_most interval DEFAULT NULL,
    OUT id bigint,
    OUT met boolean,
    OUT due_at timestamptz
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $create$
BEGIN
    IF job_type IS NULL OR job_type <> ALL (ARRAY[{types}]::text[]) THEN
        RAISE insufficient_privilege USING
            COLUMN = 'job_type', MESSAGE = format('job_type: role {role} may not create jobs of type %L', job_type);
    END IF;
    SELECT made.id, made.met, made.due_at INTO id, met, due_at
    FROM {schema}.create(
        job_type => job_type, input => input, user_id => user_id, task_id => task_id, project_id => project_id,
        queue => queue, priority => priority, scheduled_for => scheduled_for, lane => lane,
        idempotency_key => idempotency_key, unique_key => unique_key, unique_while => unique_while, limits => limits,
        fair_by => fair_by, debounce => debounce, debounce_at_most => debounce_at_most) AS made;
END
$create$;
REVOKE ALL ON FUNCTION "{own}".create FROM PUBLIC;
GRANT USAGE ON SCHEMA "{own}" TO "{role}";
GRANT EXECUTE ON FUNCTION "{own}".create TO "{role}"
