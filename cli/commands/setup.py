"""`./jobs setup`: asks for what an installation needs, tries each answer by a real call, and keeps what passed."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import Data, Json

if TYPE_CHECKING:
    from cli.setup.given import Bot
    from cli.setup.run import SetUp

EXIT_NOT_LOGGED_IN = 1


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: ./jobs setup, or: ./jobs setup --api-key-file key.txt --zone Europe/Berlin")(setup)


def _secret(what: str) -> Any:
    """An option whose value no other user may see, as arguments are."""
    return typer.Option(metavar="FILE", help=f"{what}, in a file, or - for stdin")


def setup(
    embedded: Annotated[bool, typer.Option("--embedded", help="Use the Postgres that comes along")] = False,
    database_url_file: Annotated[Path | None, _secret("The URL of a Postgres of your own")] = None,
    database_direct_url_file: Annotated[Path | None, _secret("Its URL past a pooler")] = None,
    simulator: Annotated[bool, typer.Option("--simulator", help="No credentials: the simulator answers")] = False,
    api_key_file: Annotated[Path | None, _secret("An Anthropic API key")] = None,
    oauth_token_file: Annotated[Path | None, _secret("A token of a Claude subscription")] = None,
    base_url: Annotated[str | None, typer.Option(help="Where the Messages API is; empty: at Anthropic")] = None,
    model: Annotated[str | None, typer.Option(help="Which model answers")] = None,
    owner: Annotated[str | None, typer.Option(help="What the owner is called")] = None,
    owner_tg_user_id: Annotated[int | None, typer.Option(min=1, help="The owner's number at Telegram")] = None,
    workspaces: Annotated[str | None, typer.Option(help="Where agents have their folders; empty: in --data")] = None,
    zone: Annotated[str | None, typer.Option(help="The owner's time zone: Europe/Berlin")] = None,
    bot_token_file: Annotated[Path | None, _secret("The token of a Telegram bot to log in")] = None,
    telegram_api_id: Annotated[int | None, typer.Option(help="The API id, from my.telegram.org")] = None,
    telegram_api_hash_file: Annotated[Path | None, _secret("The API hash, from there, too")] = None,
    non_interactive: Annotated[bool, typer.Option("--non-interactive", help="Ask nothing, ever")] = False,
    as_json: Json = False,
    data: Data = None,
) -> int:
    """Set an installation up, or change how it is. Without options it asks; with some, it changes what they say.

    Each answer is tried by a real call: a connection, one small call to the model, a login. What passed is saved in the folder,
    in settings.env, which all commands read; the environment comes first.
    """
    from dataclasses import asdict

    from cli.printing import note, print_json
    from cli.settings import CliSettings
    from cli.setup.given import Given
    from cli.setup.run import Setup
    from jobs_core.log import set_up_logs
    from jobs_core.settings import CoreSettings

    if embedded and database_url_file:
        raise typer.BadParameter("give --embedded or --database-url-file, not both")
    if simulator + bool(api_key_file) + bool(oauth_token_file) > 1:
        raise typer.BadParameter("give one of --api-key-file, --oauth-token-file and --simulator")
    secrets = {
        "DATABASE_URL": database_url_file,
        "DATABASE_DIRECT_URL": database_direct_url_file,
        "ANTHROPIC_API_KEY": api_key_file,
        "CLAUDE_CODE_OAUTH_TOKEN": oauth_token_file,
        "token": bot_token_file,
        "api_hash": telegram_api_hash_file,
    }
    if list(map(str, secrets.values())).count("-") > 1:
        raise typer.BadParameter("only one of them can come by stdin")
    said = {name: _read(file) for name, file in secrets.items() if file is not None}
    bot = _bot(said.pop("token", None), telegram_api_id, said.pop("api_hash", None))
    if database_url_file or embedded:
        said = {"DATABASE_URL": "", "DATABASE_DIRECT_URL": ""} | said
    if simulator or api_key_file or oauth_token_file:
        said = {"ANTHROPIC_API_KEY": "", "CLAUDE_CODE_OAUTH_TOKEN": ""} | said
    plain = {
        "ANTHROPIC_BASE_URL": "" if simulator else base_url,
        "JOBS_MODEL": model,
        "JOBS_OWNER_TG_USER_ID": owner_tg_user_id,
        "JOBS_WORKSPACES": workspaces and Path(workspaces).absolute(),
    }
    said |= {name: str(value) for name, value in plain.items() if value is not None}
    given = Given(said, owner, zone, bot)
    is_asked = sys.stdin.isatty() and not non_interactive and given == Given({})
    set_up_logs(CoreSettings.read())
    one = Setup(CliSettings.read(data=data), given, is_asked=is_asked)
    try:
        done = one.run()
    except (KeyboardInterrupt, typer.Abort):
        note("Stopped. What was asked for is saved." if one.is_kept else "Stopped. Nothing was saved.")
        raise
    if as_json:
        print_json(asdict(done))
    else:
        _print(done)
    return EXIT_NOT_LOGGED_IN if done.not_logged_in else 0


def _read(file: Path) -> str:
    """A secret. Raises BadParameter where there is none."""
    if str(file) == "-" and sys.stdin.isatty():
        raise typer.BadParameter("- reads a pipe; at a terminal leave all options out, and be asked")
    try:
        text = (sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")).strip()
    except UnicodeDecodeError:
        text = "\0"
    if not text:
        raise typer.BadParameter(f"{file} is empty: write the secret into it")
    if not text.isprintable():
        raise typer.BadParameter(f"{file} holds more than one line of text: write the secret alone into it")
    return text


def _bot(token: str | None, api_id: int | None, api_hash: str | None) -> "Bot | None":
    from cli.setup.given import Bot
    from gateways.telegram.settings import TelegramSettings

    if token is None:
        if api_id is not None or api_hash is not None:
            raise typer.BadParameter("--telegram-api-id and --telegram-api-hash-file go with --bot-token-file")
        return None
    known = TelegramSettings.read(telegram_api_id=api_id, telegram_api_hash=api_hash)
    if known.telegram_api_id is None or not known.telegram_api_hash:
        raise typer.BadParameter("--bot-token-file needs --telegram-api-id and --telegram-api-hash-file, too")
    return Bot(token, str(known.telegram_api_id), known.telegram_api_hash)


def _print(done: "SetUp") -> None:
    from cli.printing import note, print_plain

    served = f"{done.model}, by {done.credentials}" if done.credentials else "the built-in simulator"
    rows = {
        "database": done.database,
        "model": served,
        "owner": done.owner,
        "zone": done.zone,
        "workspaces": done.workspaces,
        "telegram": ", ".join(done.telegram) or "no account: ./jobs telegram login",
        "saved": f"{', '.join(done.changed)} in {done.file}" if done.changed else "nothing new",
    }
    for name, value in rows.items():
        print_plain(f"{name:<11} {value}")
    if done.from_environment:
        print_plain(f"from the environment, which comes first: {', '.join(done.from_environment)}")
    if done.not_logged_in:
        note(f"jobs: the bot was not logged in, all else is saved: {done.not_logged_in}")
    if done.restart:
        note("A ./jobs up runs with what was before: start it anew.")
    else:
        note("Now: ./jobs up; ./jobs doctor looks whether all is well.")
