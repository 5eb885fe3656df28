"""`./jobs setup`, from the first question to what it has come to."""

import asyncio
import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from assistant.preferences import fit_preferences
from assistant.settings import AssistantSettings
from cli import saved
from cli.doctor.host import try_workspaces, workspaces_of
from cli.embedded_postgres import EmbeddedPostgres
from cli.errors import CommandFailed
from cli.folder import Folder
from cli.printing import note
from cli.settings import CliSettings
from cli.setup import keep, person
from cli.setup.given import Bot, Given, Known
from cli.setup.trial import DATABASE, MODEL, tried, try_checks
from gateways.telegram.errors import LoginFailed
from gateways.telegram.settings import TelegramSettings
from jobs_core import JobsError
from sessions.settings import SessionSettings

T = TypeVar("T")
Ask = Callable[[Mapping[str, str]], dict[str, str]]


@dataclass(frozen=True, slots=True)
class SetUp:
    """What an installation is set up as.

    changed: names of variables that were written now. from_environment: of those that come first, whatever is written.
    telegram: accounts that are logged in. not_logged_in: why a bot was not. restart: a `./jobs up` runs with what was before.
    """

    file: str
    changed: list[str]
    from_environment: list[str]
    migrations: int
    database: str
    model: str
    credentials: str | None
    owner: str
    zone: str
    workspaces: str
    telegram: list[str]
    not_logged_in: str | None
    restart: bool


class Setup:
    """One run of it. is_asked: a person is at the terminal."""

    def __init__(self, settings: CliSettings, given: Given, *, is_asked: bool) -> None:
        self._settings = settings
        self._folder = Folder(settings.data)
        self._given = given
        self._is_asked = is_asked
        self._outside = saved.outside()
        self._changes = dict[str, str]()
        self._stack = ExitStack()
        self._dsn = ""
        self.is_kept = False
        """Whether what was said is saved by now; a bot's login comes after."""

    def run(self) -> SetUp:
        """Ask, try and keep. Raises JobsError for what did not pass; nothing is kept then."""
        with self._stack:
            self._settle_database()
            self._settle_rest()
            self._open_database(make=False)
            said = self._about_person(asyncio.run(keep.known(self._dsn)) if self._dsn else Known())
            self._open_database(make=True)
            migrations = asyncio.run(keep.migrate(self._dsn, self._settings.handlers))
            with keep.uninterrupted():
                asyncio.run(keep.keep(self._dsn, said.owner, said.zone, self._file, self._changes))
                self._folder.make_token()
                self.is_kept = True
            why = self._log_in(said.bot) if said.bot else None
            return self._told(asyncio.run(keep.known(self._dsn)), migrations, why)

    def _settle_database(self) -> None:
        names = ("DATABASE_URL", "DATABASE_DIRECT_URL")

        def attempt() -> None:
            if "DATABASE_URL" in os.environ:
                try_checks(self._settings, DATABASE)

        self._settle(names, person.ask_database, attempt)

    def _settle_rest(self) -> None:
        self._settle(
            ("ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN", "ANTHROPIC_BASE_URL", "JOBS_MODEL"),
            person.ask_model,
            lambda: try_checks(self._settings, MODEL),
        )
        self._settle(
            ("JOBS_WORKSPACES",),
            lambda environ: person.ask_workspaces(environ, self._settings.data / "workspaces"),
            lambda: try_workspaces(workspaces_of(self._settings)),
        )
        self._settle(("JOBS_OWNER_TG_USER_ID",), person.ask_owner, AssistantSettings.read)

    def _settle(self, names: tuple[str, ...], ask: Ask, attempt: Callable[[], object]) -> None:
        """Have answers about these variables that pass; with them the environment goes on."""
        if self._is_asked:
            self._settle_by_asking(names[0], ask, attempt)
            return
        changes = {name: value for name, value in self._given.variables.items() if name in names}
        for name in changes:
            if first := saved.before(name, self._outside):
                raise CommandFailed(
                    f"{first} stands in the environment, which comes before what is saved: unset it there"
                )
        try:
            self._try(changes, attempt)
        except JobsError as error:
            raise CommandFailed(f"{str(error).rstrip('.')}. Nothing was saved.") from None

    def _settle_by_asking(self, name: str, ask: Ask, attempt: Callable[[], object]) -> None:
        if first := saved.before(name, self._outside):
            note(f"{first} stands in the environment, which comes first: not asked for.")
            return
        while True:
            said = ask(os.environ)
            try:
                self._try({one: said[one] for one in said if not saved.before(one, self._outside)}, attempt)
            except JobsError as error:
                note(str(error))
            else:
                return

    def _try(self, changes: Mapping[str, str], attempt: Callable[[], object]) -> None:
        for name, value in changes.items():
            if not value.isprintable():
                raise CommandFailed(f"{name} has something in it that is not text: give it again")
        with tried(changes):
            if changes:
                if self._is_asked:
                    note("Trying that.")
                attempt()
        self._changes |= changes

    def _about_person(self, known: Known) -> Given:
        """Who the owner is, and their bot. Raises InvalidInput and ConfigurationError for what does not fit."""
        if not self._is_asked:
            _check_zone(self._given.zone)
            _check_bot(self._given.bot)
            return self._given
        owner = person.ask_name(known)
        zone = _fitting(lambda: person.ask_zone(known), _check_zone)
        return Given(owner=owner, zone=zone, bot=_fitting(lambda: person.ask_bot(known, os.environ), _check_bot))

    def _open_database(self, *, make: bool) -> None:
        """Have a way to the database, started here where it is ours and nobody runs it; not one that is still to be made."""
        if self._dsn:
            return
        if url := os.environ.get("DATABASE_URL") or self._folder.joins().get("DATABASE_URL", ""):
            self._dsn = url
        elif make or self._folder.postgres.exists():
            self._stack.enter_context(self._folder.taken())
            self._dsn = self._stack.enter_context(EmbeddedPostgres(self._folder.postgres)).dsn

    def _log_in(self, bot: Bot) -> str | None:
        """Log the bot in, and keep as what program; returns why Telegram did not let it."""
        try:
            _, not_greeted = asyncio.run(keep.log_bot_in(self._dsn, bot))
        except LoginFailed as error:
            return str(error)
        if not_greeted:
            note(f"No test message was sent: {not_greeted}.")
        program = {"JOBS_TELEGRAM_API_ID": bot.api_id, "JOBS_TELEGRAM_API_HASH": bot.api_hash}
        new = {name: value for name, value in program.items() if os.environ.get(name) != value}
        saved.write(self._file, new)
        self._changes |= new
        return None

    @property
    def _file(self) -> Path:
        return self._folder.path / saved.FILE

    def _told(self, known: Known, migrations: int, not_logged_in: str | None) -> SetUp:
        sessions = SessionSettings.read()
        return SetUp(
            file=str(self._file),
            changed=sorted(self._changes),
            from_environment=sorted(self._outside & saved.OURS),
            migrations=migrations,
            database=known.place if os.environ.get("DATABASE_URL") else "embedded",
            model=sessions.model,
            credentials="key" if sessions.api_key else "token" if sessions.oauth_token else None,
            owner=known.owner or "",
            zone=known.zone or "",
            workspaces=str(workspaces_of(self._settings)),
            telegram=list(known.accounts),
            not_logged_in=not_logged_in,
            restart=bool(self._changes) and self._folder.running() is not None,
        )


def _fitting(ask: Callable[[], T], check: Callable[[T], object]) -> T:
    """An answer that fits; asked for until it does."""
    while True:
        said = ask()
        try:
            check(said)
        except JobsError as error:
            note(str(error))
        else:
            return said


def _check_zone(zone: str | None) -> None:
    if zone is not None:
        fit_preferences({"zone": zone})


def _check_bot(bot: Bot | None) -> None:
    if bot is not None:
        TelegramSettings.read(telegram_api_id=bot.api_id, telegram_api_hash=bot.api_hash)
