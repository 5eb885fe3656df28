"""What is written when a message arrives: its words, whose they are, and the job that sees to them, in one transaction.

    known? ─▶ nothing          who says it ─┬─ a command ─▶ done, and its answer owed
    an edit ─▶ other words                  ├─ to us ─▶ the message of a chat, and its ChatTurn
                                            └─ in a group, to others ─▶ kept for the next one that is to us, if so set

Nothing is asked of Telegram here, and nothing fetched. A chat session is a person's: in a group each has their own, in each
topic, because a chat is answered with the rights of whoever began it (docs/decisions/0026).
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from assistant import presses
from assistant.chats import Received, receive
from assistant.held import Kept, Stranger, answer, hold, is_blocked
from assistant.incoming import amend, content_of, is_theirs
from assistant.kept import anything_kept
from assistant.pairing import redeem
from assistant.people import User
from gateways.telegram import taken, waiting
from gateways.telegram.accounts import CHANNEL
from gateways.telegram.after import After
from gateways.telegram.answered import words_before
from gateways.telegram.commands import PAIRED, obey, reply
from gateways.telegram.door import Door, chat_of, command_of, person
from gateways.telegram.incoming import Incoming
from gateways.telegram.media import describe
from gateways.telegram.taken import Known, Line
from gateways.telegram.waiting import Arrival, Described
from gateways.telegram.words import with_edit, words_of
from jobs_core import Connection, Created


async def take(conn: Connection, door: Door, parts: Sequence[Incoming]) -> After:
    """Take a message in, or the parts of an album together; what is known is passed over. Do what is returned after the commit.

    Raises UniqueViolation where another process took it meanwhile, and ToBeSeen where Telegram is to be asked for what it
    answers: roll back, do so, and call it again.
    """
    first, account = parts[0], door.held.name
    versions = {part.message_id: await taken.known(conn, account, part.chat_id, part.message_id) for part in parts}
    new = {part.message_id: part for part in parts if not versions[part.message_id]}  # a part may have come twice
    if not new:
        return await _Taking(conn, door, parts).edit(versions[first.message_id]) if first.edited_at else After()
    return await _Taking(conn, door, list(new.values())).take()


class _Taking:
    """A message on its way in; parts: of an album, in order, else one."""

    def __init__(self, conn: Connection, door: Door, parts: Sequence[Incoming]) -> None:
        self._conn = conn
        self._door = door
        self._account = door.held.name
        self._parts = parts
        self._first = parts[0]

    async def take(self) -> After:
        """A message that is not known."""
        replied = await self._replied()
        if not (self._is_to_us(replied) or await self._is_of_one_to_us()):
            return await self._overhear()
        user = await person(self._conn, self._door, self._first)
        session_id = await chat_of(self._conn, self._door, self._first, user)
        unheard = await self._unless_heard(user, session_id)
        if unheard is not None:
            return unheard
        return await self._hear(user) + await self._take(user, session_id, replied)

    async def _take(self, user: User, session_id: str, replied: Known | None) -> After:
        """A message that is to us, of somebody who is heard."""
        if command := command_of(self._door.held, self._first):
            after = await obey(self._conn, command, user, session_id, account=self._account, message=self._first)
            await self._note(Line(session_id, user.id))
            return after
        if replied is not None and (decided := await self._decide(user, session_id, replied)):
            return decided
        before = await words_before(self._conn, self._door, self._first, session_id, replied)
        return await self._say(user, session_id, before)

    async def edit(self, versions: Sequence[Known]) -> After:
        """A version of a known message: other words where no turn has taken it up yet, else one more message."""
        last, words = versions[0], _words(self._first)
        if last.history_id is None:
            if await waiting.amend(self._conn, self._account, self._first.chat_id, self._first.message_id, words):
                return After()
            last = (await self._known(self._first.message_id))[0]  # it may have been taken in just now
        if last.session_id is None or last.history_id is None:
            return After()
        if last.edit_date and self._first.edited_at and self._first.edited_at < last.edit_date:
            return After()
        return await self._change(last.session_id, last.history_id, last.own_from, words)

    async def _change(self, session_id: str, history_id: int, own_from: int, words: str) -> After:
        """Have a line of a chat say these words from there on, or tell them behind it."""
        content, is_of_album = await content_of(self._conn, history_id), self._first.album is not None
        before, own = content[:own_from], content[own_from:]
        if words == own or (is_of_album and (not words or f"\n{words}\n" in f"\n{own}\n")):
            return After()  # Telegram also tells of a preview, or a reaction, as an edit
        user = await person(self._conn, self._door, self._first)
        if await is_theirs(self._conn, session_id, user.id) is False:  # they said it as somebody else
            return After()
        if kept := await self._held(user, session_id, words, [None]):
            return After(ready=kept.ready)
        # Of an album the words of its other parts stand there, too.
        if not is_of_album and await amend(self._conn, history_id, before + words):
            await self._note_edit(Line(session_id, user.id, history_id, own_from))
            return After()
        return await self._say_edit(user, session_id, with_edit("", own), words)

    async def _say(self, user: User, session_id: str, before: str) -> After:
        """Make it a message of its chat, with the job that sees to it; what brings files, or comes behind such, waits."""
        if job := await self._wait(user, session_id, before, self._brings()):
            await self._note(Line(session_id, user.id))
            return After(wake=[job.wake])
        received = await self._receive(user, session_id, before + "\n".join(map(_words, self._parts)))
        await self._note(Line(session_id, user.id, received.message_id, len(before)))
        return After(wake=[received.wake])

    async def _say_edit(self, user: User, session_id: str, before: str, words: str) -> After:
        """Make a message of other words that come too late."""
        if job := await self._wait(user, session_id, before, [None]):
            await self._note_edit(Line(session_id, user.id))
            return After(wake=[job.wake])
        received = await self._receive(user, session_id, before + words)
        await self._note_edit(Line(session_id, user.id, received.message_id, len(before)))
        return After(wake=[received.wake])

    async def _wait(
        self, user: User, session_id: str, before: str, brings: Sequence[Described | None]
    ) -> Created | None:
        """Have it wait for its files, or behind others; None: it need not."""
        parts = self._arrivals(user, session_id, before, brings)
        return await waiting.hold(self._conn, self._door.jobs, parts, self._door.media)

    def _brings(self) -> Sequence[Described | None]:
        """The file of each part."""
        return [describe(part.message) for part in self._parts]

    def _arrivals(
        self, user: User, session_id: str, before: str, brings: Sequence[Described | None]
    ) -> Sequence[Arrival]:
        return [
            Arrival(
                account=self._account,
                chat_id=part.chat_id,
                message_id=part.message_id,
                session_id=session_id,
                user_id=user.id,
                before=before if part is self._first else "",
                content=_words(part),
                is_forwarded=part.forwarded_from is not None,
                album=part.album,
                media=media,
            )
            for part, media in zip(self._parts, brings, strict=True)
        ]

    async def _receive(self, user: User, session_id: str, message: str) -> Received:
        return await receive(
            self._conn,
            self._door.jobs,
            session_id=session_id,
            begin=True,
            channel=CHANNEL,
            message=message,
            user_id=user.id,
            account=self._account,
        )

    async def _hear(self, user: User) -> After:
        """Take in what was kept of somebody who became an owner, or one who is allowed, without anybody's word about that."""
        is_allowed = user.is_owner or user.admission == "allowed"
        asked = user.is_owner and user.admission == "held"
        if not (asked or (is_allowed and await anything_kept(self._conn, user.id))):
            return After()
        by = user.id if user.is_owner else "being linked to somebody allowed"
        return After(wake=[(await answer(self._conn, self._door.jobs, user.id, "allowed", by=by)).wake])

    async def _unless_heard(self, user: User, session_id: str) -> After | None:
        """What is done about somebody who may not be heard, or shows a code that makes them the owner; None: they are heard."""
        first = self._first
        command = command_of(self._door.held, first)
        if command and command[0] == "start" and command[1] and first.is_private:
            paired = await redeem(self._conn, self._door.jobs, user, str(first.sender_id), command[1])
            if paired:
                await self._note(Line(session_id, paired.owner.id))
                ready = await reply(self._conn, PAIRED, paired.owner, session_id, account=self._account, message=first)
                return After(wake=[paired.answered.wake], ready=ready)
        words = "\n".join(words_of(part) for part in self._parts)
        kept = await self._held(user, session_id, words, self._brings())
        if kept is None:
            return None
        if user.admission != "blocked":  # of whom nothing is written
            await self._note(Line(session_id, user.id))
        return After(ready=kept.ready)

    async def _held(self, user: User, session_id: str, words: str, brings: Sequence[Described | None]) -> Kept | None:
        """What became of words that are not to be taken in, because no owner has allowed their person; None: they are.

        What is kept waits here, so that it can be changed, and its files fetched when it is allowed.
        """
        message = Stranger(str(self._first.sender_id), session_id, words, account=self._account)
        kept = await hold(self._conn, user, message, hold_unknown=self._door.people.unknown_senders == "hold")
        if kept and kept.held_id is not None:
            parts = self._arrivals(user, session_id, "", brings)
            await waiting.keep(self._conn, parts, self._door.media, kept.held_id)
        return kept

    async def _decide(self, user: User, session_id: str, replied: Known) -> After | None:
        """What is done where a message is a decision about the card that it answers; None: it is none."""
        first = self._first
        if replied.delivery_id is None or first.forwarded_from is not None:
            return None
        done = await presses.reply(self._conn, self._door.jobs, user, replied.delivery_id, first.text)
        if done is None:
            return None
        await self._note(Line(session_id, user.id))
        ready = await reply(self._conn, done.text, user, session_id, account=self._account, message=first)
        return After(wake=[done.wake], ready=ready)

    async def _overhear(self) -> After:
        """Keep what was said in a group to others for the next message that is to us, where that is set."""
        settings, sender = self._door.settings, str(self._first.sender_id)
        if settings.telegram_group_context == "on" and not await is_blocked(self._conn, CHANNEL, sender):
            for part in self._parts:
                await taken.overhear(self._conn, self._account, part, most=settings.telegram_group_context_messages)
        return After()

    def _is_to_us(self, replied: Known | None) -> bool:
        """Whether it is ours to answer: in a group only what names us, answers us or commands us."""
        first, username = self._first, self._door.held.username
        if first.is_private or any(part.mentioned for part in self._parts):
            return True
        # A user account is in groups where bots are meant.
        if self._door.held.is_bot and command_of(self._door.held, first):
            return True
        if replied is not None and replied.direction == "out":
            return True
        named = re.compile(rf"@{username}\b", re.IGNORECASE)
        return username is not None and any(named.search(part.text) for part in self._parts)

    async def _is_of_one_to_us(self) -> bool:
        """Whether it is more of an album that was taken in: what names us stands with one of its parts only."""
        first = self._first
        return first.album is not None and await taken.has_album(self._conn, self._account, first)

    async def _replied(self) -> Known | None:
        """What is known of the message that this one answers."""
        first = self._first
        if first.reply_to is None:
            return None
        versions = await self._known(first.reply_to)
        return versions[0] if versions else None

    async def _known(self, message_id: int) -> Sequence[Known]:
        return await taken.known(self._conn, self._account, self._first.chat_id, message_id)

    async def _note_edit(self, line: Line) -> None:
        await taken.note_edit(self._conn, self._account, self._first, line)

    async def _note(self, line: Line) -> None:
        await taken.note(self._conn, self._account, self._parts, line)


def _words(part: Incoming) -> str:
    """What a message says; a file that is fetched needs no line that names it."""
    return words_of(part if describe(part.message) is None else replace(part, attachment=None))
