"""`./jobs agent`: agents as data: list them and look at them, add and edit them, try one out."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import Data, Json

if TYPE_CHECKING:
    from assistant.agents import Agent
    from jobs_core import Connection

_EXAMPLE = "Example: ./jobs agent edit assistant --set model=claude-opus-5 --dry-run"
_PAGE = 100

Name = Annotated[str, typer.Argument(metavar="NAME", help="The agent's name")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="FIELD=VALUE", help="Give a field a value; text as it is or @FILE, all else as JSON"),
]
From = Annotated[
    str | None,
    typer.Option("--from", metavar="FILE", help="Fields from a JSON file, as show --json prints; - is stdin"),
]


def register(app: typer.Typer) -> None:
    """Add the command and its five verbs."""
    agent = typer.Typer(help="List, show, add, edit and try out agents.", no_args_is_help=True)
    agent.command("list", epilog="Example: ./jobs agent list --json")(list_all)
    agent.command("show", epilog="Example: ./jobs agent show assistant --json > assistant.json")(show)
    agent.command("add", epilog="Example: ./jobs agent add reviewer --set owner_prompt=@reviewer.txt")(add)
    agent.command("edit", epilog=_EXAMPLE)(edit)
    agent.command("try", epilog='Example: ./jobs agent try reviewer "What can you do?"')(try_one)
    app.add_typer(agent, name="agent", epilog=_EXAMPLE)


def list_all(as_json: Json = False, data: Data = None) -> None:
    """List the agents."""
    from assistant.agents import list_agents
    from cli.database import ask
    from cli.printing import print_json, print_plain

    async def listed(conn: "Connection") -> "list[Agent]":
        found: list[Agent] = []
        while page := await list_agents(conn, after=found[-1].name if found else "", limit=_PAGE):
            found += page
        return found

    agents = ask(listed, data)
    if as_json:
        print_json([agent.shown() for agent in agents])
        return
    for agent in agents:
        tools = ", ".join([*agent.tools, *(f"mcp:{name}" for name in agent.mcp_servers)]) or "no tools"
        print_plain(f"{agent.name}: {agent.model or 'the default model'} · {tools}")


def show(name: Name, as_json: Json = False, data: Data = None) -> None:
    """Show an agent. What its MCP servers are given in secret is masked, also with --json."""
    from assistant.agents import load
    from cli.database import ask

    _print(ask(lambda conn: load(conn, name), data), as_json=as_json)


def add(name: Name, given: Set = None, file: From = None, as_json: Json = False, data: Data = None) -> None:
    """Add an agent; what is not given is the default."""
    from assistant import agents
    from cli.agent_fields import read_fields
    from cli.database import ask

    fields = read_fields(given or [], file)

    async def added(conn: "Connection") -> "Agent":
        async with conn.transaction():
            return await agents.add(conn, name, fields)

    _print(ask(added, data), as_json=as_json)


def edit(
    name: Name,
    given: Set = None,
    file: From = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing")] = False,
    as_json: Json = False,
    data: Data = None,
) -> None:
    """Change fields of an agent, from its next turn on; what is not given stays. Shows what changed."""
    from assistant import agents
    from cli.agent_fields import changes, read_fields
    from cli.database import ask
    from cli.printing import note, print_json, print_plain

    fields = read_fields(given or [], file)

    async def edited(conn: "Connection") -> "tuple[Agent, Agent]":
        async with conn.transaction(force_rollback=dry_run):
            return await agents.edit(conn, name, fields)

    before, after = ask(edited, data)
    lines = list(changes(before.shown(), after.shown()))
    if before != after and not lines:
        lines = ["mcp_servers: a secret value"]
    if as_json:
        print_json({"before": before.shown(), "after": after.shown(), "changes": lines, "written": not dry_run})
        return
    for line in lines or ["nothing changes"]:
        print_plain(line)
    if dry_run:
        note("not written: leave out --dry-run to do it")


def try_one(
    name: Name,
    message: Annotated[str, typer.Argument(help="What to say; - reads stdin")],
    url: Annotated[str | None, typer.Option(help="The web API [default: JOBS_URL, or the ./jobs up that runs]")] = None,
    timeout: Annotated[str, typer.Option(help="Wait so long for the answer: 30s, 5m, 1h")] = "10m",
    as_json: Json = False,
    data: Data = None,
) -> int:
    """Say something to an agent and show its answer. It runs as it would for the owner, in a chat marked as a trial."""
    from cli.chat import ask
    from cli.commands.chat import read_message
    from cli.durations import parse_duration
    from cli.settings import CliSettings

    said = read_message(message)
    timeout_s = parse_duration(timeout, option="--timeout").total_seconds()
    return ask(CliSettings.read(data=data, url=url), said, None, agent=name, timeout_s=timeout_s, as_json=as_json)


def _print(agent: "Agent", *, as_json: bool) -> None:
    from cli.agent_fields import brief
    from cli.printing import print_json, print_plain

    shown: dict[str, Any] = agent.shown()
    if as_json:
        print_json(shown)
        return
    for name, value in shown.items():
        print_plain(f"{name}: {brief(value)}")
