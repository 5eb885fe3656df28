"""What a person asks of us rather than of the agent: `/start /new /stop /status /usage /whoami /help`.

Each is done in the transaction that takes its message in, and its answer is owed there: once, as everything that goes out.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from assistant import deliveries
from assistant.chat_status import chat_status
from assistant.errors import NoSuchChat
from assistant.people import User
from assistant.stopping import stop_in
from gateways.telegram.accounts import CHANNEL
from gateways.telegram.after import After
from gateways.telegram.incoming import Incoming
from gateways.telegram.waiting import drop, jobs_in
from jobs_core import Connection
from jobs_core.wake import Ready
from sessions.usage import usage_of_user

PAIRED = "You are the owner now. What you write here is answered, and what waits for your decision comes here."
_HELP = """Write what you want to know or have done; the agent answers here.
/new - begin anew: the agent forgets this conversation
/stop - stop what the agent does
/status - what is being done
/usage - what your questions have cost today
/whoami - as whom you are known here
/help - this"""


@dataclass(frozen=True, slots=True)
class Asked:
    """A command in its chat."""

    conn: Connection
    user: User
    session_id: str
    account: str
    argument: str


@dataclass(frozen=True, slots=True)
class Done:
    """What is answered; None: what was done says so itself. after: what is to be done after the commit."""

    text: str | None
    after: After = field(default_factory=After)


async def obey(
    conn: Connection, command: tuple[str, str], user: User, session_id: str, *, account: str, message: Incoming
) -> After:
    """Do what a command says (its name, and what stands behind it), and owe its answer."""
    name, argument = command
    done = await COMMANDS[name](Asked(conn, user, session_id, account, argument))
    if done.text is None:
        return done.after
    ready = await reply(conn, done.text, user, session_id, account=account, message=message)
    return replace(done.after, ready=[*done.after.ready, *ready])


async def reply(
    conn: Connection, text: str, user: User, session_id: str, *, account: str, message: Incoming
) -> Sequence[Ready]:
    """Owe a word of ours in answer to a message, once; returns where its job stands ready."""
    owed = await deliveries.owe(
        conn,
        owed_for=f"telegram:{account}:{message.chat_id}:{message.message_id}",
        kind="notification",
        payload={"text": text} if message.is_private else {"text": text, "reply_to": message.message_id},
        user_id=user.id,
        channel=CHANNEL,
        account=account,
        chat=session_id,
    )
    return owed.ready if owed else ()


async def _start(asked: Asked) -> Done:
    return Done(f"Hello {asked.user.name}.\n{_HELP}")


async def _help(_asked: Asked) -> Done:
    return Done(_HELP)


async def _new(asked: Asked) -> Done:
    return await _end(asked, anew=True, nothing="A conversation begins with your next message.")


async def _stop(asked: Asked) -> Done:
    return await _end(asked, anew=False, nothing="There is nothing to stop.")


async def _end(asked: Asked, *, anew: bool, nothing: str) -> Done:
    """A stop says what it stopped, a reset that it was done: both in the chat, which goes out by itself."""
    try:
        stopped, ready = await stop_in(asked.conn, asked.session_id, anew=anew)
    except NoSuchChat:
        return Done(nothing)
    job_ids = list(stopped.job_ids)
    if await drop(asked.conn, asked.session_id):
        nothing = "Stopped: what was still being fetched is left out."
        job_ids += await jobs_in(asked.conn, asked.account, asked.session_id)  # or what is sent next waits for them
    said_so = anew or stopped.turns
    return Done(None if said_so else nothing, After(ready=ready, stopped=job_ids))


async def _status(asked: Asked) -> Done:
    status = await chat_status(asked.conn, asked.session_id)
    lines = list[str]()
    if status.action:
        lines.append(f"Action {status.action.id} ({status.action.tool}) waits for a decision.")
    if status.bound:
        lines.append(f"{_messages(status.bound)} being answered.")
    if status.unbound:
        lines.append(f"{_messages(status.unbound)} waiting.")
    if status.oldest_s is not None:
        lines.append(f"The first came {_ago(status.oldest_s)} (hours:minutes:seconds) ago.")
    return Done("\n".join(lines) or "Nothing is being done. Everything you wrote is answered.")


async def _usage(asked: Asked) -> Done:
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    used = await usage_of_user(asked.conn, asked.user.id, today)
    tokens = used.input_tokens + used.cache_read_tokens + used.cache_write_tokens
    return Done(
        f"Today (UTC): US$ {used.cost_usd:.2f}, {used.calls} calls of the model, "
        f"{tokens:,} tokens read, {used.output_tokens:,} written."
    )


async def _whoami(asked: Asked) -> Done:
    user = asked.user
    return Done(
        f"{user.name}\nid {user.id}, role {user.role}\nnumber at Telegram {user.tg_user_id}, by {asked.account}"
    )


COMMANDS: dict[str, Callable[[Asked], Awaitable[Done]]] = {
    "start": _start,
    "new": _new,
    "stop": _stop,
    "status": _status,
    "usage": _usage,
    "whoami": _whoami,
    "help": _help,
}


def _messages(count: int) -> str:
    return f"{count} message is" if count == 1 else f"{count} messages are"


def _ago(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
