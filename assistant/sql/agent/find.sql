-- Takes name. Returns the agent, or no row.
SELECT id, name, owner_prompt, external_prompt, heartbeat_prompt, model, fallback_model, effort, tools, gate_policy,
       mcp_servers, budget, limits, workspace
FROM {schema}.agents
WHERE name = %(name)s
