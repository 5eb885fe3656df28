-- Takes after (a name, '' from the start), limit. Returns agents by name.
SELECT id, name, owner_prompt, external_prompt, heartbeat_prompt, model, fallback_model, effort, tools, gate_policy,
       mcp_servers, budget, limits, workspace
FROM {schema}.agents
WHERE name > %(after)s
ORDER BY name
LIMIT %(limit)s
