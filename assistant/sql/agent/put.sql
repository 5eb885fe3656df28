-- Takes an agent's columns (gate_policy, mcp_servers, budget, limits as JSON text), over. Makes the agent, or, with over, gives
-- the one of this name all of these values. Returns it; no row: without over there is one. Locks it. The second of two waits for
-- the first one's commit.
INSERT INTO {schema}.agents (name, owner_prompt, external_prompt, heartbeat_prompt, model, fallback_model, effort, tools,
                             gate_policy, mcp_servers, budget, limits, workspace)
VALUES (%(name)s, %(owner_prompt)s, %(external_prompt)s, %(heartbeat_prompt)s, %(model)s, %(fallback_model)s, %(effort)s,
        %(tools)s, %(gate_policy)s::jsonb, %(mcp_servers)s::jsonb, %(budget)s::jsonb, %(limits)s::jsonb, %(workspace)s)
ON CONFLICT (name) DO UPDATE
SET owner_prompt = excluded.owner_prompt, external_prompt = excluded.external_prompt,
    heartbeat_prompt = excluded.heartbeat_prompt, model = excluded.model, fallback_model = excluded.fallback_model,
    effort = excluded.effort, tools = excluded.tools, gate_policy = excluded.gate_policy,
    mcp_servers = excluded.mcp_servers, budget = excluded.budget, limits = excluded.limits, workspace = excluded.workspace,
    updated_at = clock_timestamp()
WHERE %(over)s
RETURNING id, name, owner_prompt, external_prompt, heartbeat_prompt, model, fallback_model, effort, tools, gate_policy,
          mcp_servers, budget, limits, workspace
