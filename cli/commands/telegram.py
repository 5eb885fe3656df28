"""`./jobs telegram`: the Telegram door, and the accounts of ours that it holds."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import Data, Json, JsonLogs

if TYPE_CHECKING:
    from gateways.telegram.accounts import Account as AnAccount

_HEADINGS = {"name": "account", "kind": "kind", "username": "username", "tg_user_id": "number", "state": "state"}
_FIRST = "bot"

_Accounts = Annotated[
    list[str] | None, typer.Option("--account", help="Hold this account; repeat for more [default: all]")
]
_Account = Annotated[str, typer.Argument(metavar="ACCOUNT", help="The account's name, as ls shows it")]


def register(app: typer.Typer) -> None:
    """Add the command and its verbs."""
    telegram = typer.Typer(help="Take in what people write by Telegram, and send what is owed to them.")
    telegram.callback(
        invoke_without_command=True, epilog="Example: ./jobs telegram login, then ./jobs telegram, or ./jobs up"
    )(run)
    telegram.command("login", epilog="Example: ./jobs telegram login --account bot")(login)
    telegram.command("ls", epilog="Example: ./jobs telegram ls --json")(list_all)
    telegram.command("show", epilog="Example: ./jobs telegram show bot")(show)
    telegram.command("logout", epilog="Example: ./jobs telegram logout bot")(logout)
    app.add_typer(telegram, name="telegram")
    app.command("telegram-process", hidden=True)(process)


def run(context: typer.Context, account: _Accounts = None, data: Data = None, as_json: JsonLogs = False) -> None:
    """Take in what people write by Telegram, and send what is owed to them, on the database of ./jobs up or DATABASE_URL.

    Several such processes stand by for each other: one holds an account, and another takes over within ten seconds.
    """
    if context.invoked_subcommand is not None:
        return
    from cli.by_hand import run_by_hand
    from cli.telegram_process import run_telegram

    run_by_hand(lambda database_url, _: run_telegram(database_url, account), data, as_json=as_json)


def process() -> None:
    """Hold all accounts, for `up`."""
    from cli.parent import end_with_parent

    end_with_parent()
    import asyncio

    from cli.telegram_process import run_telegram
    from jobs_core.settings import CoreSettings

    asyncio.run(run_telegram(CoreSettings.read().database_url, None))


def login(
    account: Annotated[str, typer.Option(help="What the account is called here")] = _FIRST,
    token: Annotated[str | None, typer.Option(help="A bot's token; asked for where nothing else is given")] = None,
    phone: Annotated[str | None, typer.Option(help="A user account's number; the code is asked for")] = None,
    link: Annotated[
        bool,
        typer.Option(
            "--link", "--qr", help="A user account: by a QR code that is scanned, or a link that is opened, at Telegram"
        ),
    ] = False,
    api_id: Annotated[int | None, typer.Option(help="[default: JOBS_TELEGRAM_API_ID, or asked for]")] = None,
    api_hash: Annotated[str | None, typer.Option(help="[default: JOBS_TELEGRAM_API_HASH, or asked for]")] = None,
    as_json: Json = False,
    data: Data = None,
) -> None:
    """Log an account in: a bot by its token, a user account by phone and code, or by a link; a test message ends it.

    What is not given is asked for, on stderr, and read from stdin. A personal account that is automated risks its limits.
    """
    from dataclasses import asdict

    from cli.database import ask
    from cli.printing import tell
    from cli.telegram_login import Wanted, log_in
    from gateways.telegram.settings import TelegramSettings

    if sum(map(bool, (token, phone, link))) > 1:
        raise typer.BadParameter("give one of --token, --phone and --link")
    settings = TelegramSettings.read(telegram_api_id=api_id, telegram_api_hash=api_hash)
    wanted = Wanted(account, token, phone, link)
    kept, not_greeted = ask(lambda conn: log_in(conn, wanted, settings, _ask), data)
    tell(
        asdict(kept) | {"test_message_sent": not_greeted is None, "why_not": not_greeted},
        f"{kept.name} is logged in: {kept.kind} {kept.username or kept.tg_user_id}.\n"
        + (f"No test message was sent: {not_greeted}." if not_greeted else "A test message was sent to the owner."),
        as_json=as_json,
    )


def list_all(as_json: Json = False, data: Data = None) -> None:
    """List the accounts, and which process holds each."""
    from cli.database import ask
    from cli.printing import print_table
    from gateways.telegram.accounts import list_accounts

    rows = [_plain(one) for one in ask(list_accounts, data)]
    print_table(rows, _HEADINGS | {"holder": "held by", "said": "said"}, as_json=as_json)


def show(account: _Account, as_json: Json = False, data: Data = None) -> None:
    """Show one account: who it is, whether it is in use, and who holds it."""
    from cli.database import ask
    from cli.printing import print_fields, print_json
    from gateways.telegram.accounts import find_account

    values = _plain(ask(lambda conn: find_account(conn, account), data))
    if as_json:
        print_json(values)
        return
    print_fields(values, width=11)


def logout(account: _Account, as_json: Json = False, data: Data = None) -> None:
    """Log an account out at Telegram and forget its key; its chats stay, and go on when it is logged in again."""
    from cli.database import ask
    from cli.printing import tell
    from cli.telegram_login import log_out_account

    why = ask(lambda conn: log_out_account(conn, account), data)
    told = "Telegram was told" if why is None else f"Telegram was not told: {why} End the session in its settings"
    tell({"account": account, "told": why is None, "why": why}, f"{account} is logged out. {told}.", as_json=as_json)


def _plain(account: "AnAccount") -> "dict[str, object]":
    from dataclasses import asdict

    values = asdict(account)
    held = values.pop("held")
    return values | {"holder": values["holder"] if held else None}


def _ask(what: str) -> str:
    import sys

    from cli.errors import CommandFailed

    try:
        answer: str = typer.prompt(what, hide_input=sys.stdin.isatty(), err=True)
    except typer.Abort:
        raise CommandFailed(
            f"{what}: was asked for, and not given; ./jobs telegram login --help names its option"
        ) from None
    return answer.strip()
