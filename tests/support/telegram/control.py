"""What a test does: it makes accounts and people, has people speak and press, sets faults, and looks at what was sent."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Self, TypeVar

from telethon import TelegramClient, types
from telethon.sessions import StringSession

from tests.support.telegram import show
from tests.support.telegram.chats import Chat, Group, Supergroup, Topic
from tests.support.telegram.marking import marks
from tests.support.telegram.numbers import trust_test_key
from tests.support.telegram.people import Account, Person
from tests.support.telegram.posts import File, Post, now
from tests.support.telegram.presses import Press
from tests.support.telegram.server import Server

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from tests.support.telegram.faults import Faults
    from tests.support.telegram.keys import Key

LONGEST_WAIT_S = 30
"""For what takes milliseconds: a slow machine must not fail a test."""
SomePerson = TypeVar("SomePerson", bound=Person)
SomeGroup = TypeVar("SomeGroup", bound=Group)


class Telegram:
    """A Telegram for one test. To leave it fails the test if a client asked what the server does not know."""

    def __init__(self) -> None:
        self.server = Server()

    async def __aenter__(self) -> Self:
        trust_test_key()
        await self.server.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.server.stop()
        assert not self.server.problems, "\n\n".join(["the Telegram server for tests met:", *self.server.problems])

    @property
    def faults(self) -> Faults:
        return self.server.faults

    # Who there is

    def person(self, name: str) -> Person:
        """Make a person whom the test moves."""
        return self._known(Person(self.server.world.draw(), name, name.lower()))

    def bot(self, token: str = "42:token", name: str = "JobsBot") -> Account:
        """Make a bot, which logs in with its token."""
        return self._known(Account(self.server.world.draw(), name, name.lower(), token=token))

    def user(self, phone: str, name: str, *, password: str | None = None) -> Account:
        """Make a user account, which logs in with phone (digits), code and perhaps a password."""
        return self._known(Account(self.server.world.draw(), name, name.lower(), phone=phone, password=password))

    def group(self, title: str, *members: Person) -> Group:
        """Make a basic group."""
        return self._known_group(Group(self.server.world.draw(), title, set(members)))

    def supergroup(self, title: str, *members: Person, is_forum: bool = False) -> Supergroup:
        """Make a supergroup, with topics if it is a forum."""
        return self._known_group(Supergroup(self.server.world.draw(), title, set(members), is_forum))

    def topic(self, group: Supergroup, title: str, by: Person) -> Topic:
        """Open a topic in a forum."""
        topic = Topic(group, title)
        group.topics.append(topic)
        topic.opened_by = Post(sender=by, chat=group, text="", topic=topic)
        self.server.world.add(topic.opened_by)
        return topic

    def _known(self, person: SomePerson) -> SomePerson:
        self.server.world.people[person.id] = person
        return person

    def _known_group(self, group: SomeGroup) -> SomeGroup:
        self.server.world.groups[group.id] = group
        return group

    # What people do

    def say(
        self,
        who: Person,
        text: str,
        *,
        to: Person | Group | Topic,
        reply_to: Post | None = None,
        forward_of: Post | None = None,
        file: File | None = None,
        album: int | None = None,
    ) -> Post:
        """Have a person say something to somebody, in a group or in a topic. Names and commands are marked as Telegram does."""
        topic = to if isinstance(to, Topic) else reply_to.topic if reply_to else None
        post = Post(
            sender=who,
            chat=self._chat(who, to),
            text=text,
            entities=marks(text),
            file=file,
            reply_to=reply_to,
            topic=topic,
            forward_of=forward_of,
            album=album,
        )
        self.server.world.add(post)
        return post

    def photo(self, data: bytes) -> File:
        """Make a photo for somebody to send."""
        return File(self.server.world.draw(), data, "photo.jpg", "image/jpeg", is_photo=True)

    def document(self, name: str, data: bytes, mime_type: str = "application/octet-stream") -> File:
        """Make a document for somebody to send."""
        return File(self.server.world.draw(), data, name, mime_type, [types.DocumentAttributeFilename(name)])

    def voice(self, data: bytes, seconds: int) -> File:
        """Make a voice note (Ogg with Opus) for somebody to send."""
        spoken = [types.DocumentAttributeAudio(seconds, voice=True)]
        return File(self.server.world.draw(), data, "", "audio/ogg", spoken)

    def edit(self, post: Post, text: str) -> None:
        """Have who said something say it otherwise."""
        post.entities = marks(text)
        self.server.world.edit(post, text)

    def delete(self, post: Post) -> None:
        """Have who said something take it back."""
        self.server.world.delete(post)

    def press(self, post: Post, label: str, *, by: Person) -> Press:
        """Have a person press the button that says `label`; `await press.answer` is what they are shown."""
        return self.press_data(post, post.callback(label), by=by)

    def press_data(self, post: Post, data: bytes, *, by: Person) -> Press:
        """Press with data of one's own choosing, as a hostile client can. A press that comes while the bot is away is lost."""
        bot = post.sender
        assert isinstance(bot, Account), "only an account's message has buttons"
        press = Press(self.server.world.draw(), post, by, bot, data)
        self.server.world.presses[press.id] = press
        number = self.server.world.mailbox(post.chat, bot).ids[post]
        peer = show.peer(post.chat, bot)
        self.server.push_short(
            bot, types.UpdateBotCallbackQuery(press.id, by.id, peer, number, chat_instance=1, data=data)
        )
        return press

    def _chat(self, who: Person, to: Person | Group | Topic) -> Chat:
        if isinstance(to, Person):
            return self.server.world.private(who, to)
        return to.group if isinstance(to, Topic) else to

    # What is seen

    def sent(self, by: Account | None = None, to: Person | Group | None = None) -> list[Post]:
        """Give what accounts sent, in order, deleted ones too: `text`, `texts`, `random_id`, `file`, `buttons` …"""
        return [
            post
            for post in self.server.world.posts
            if post.random_id is not None
            and by in {None, post.sender}
            and (to is None or to is post.chat or (not isinstance(post.chat, Group) and to in post.chat.members))
        ]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition on what the server has seen."""
        try:
            async with asyncio.timeout(LONGEST_WAIT_S):
                while not condition():
                    self.server.changed.clear()
                    await self.server.changed.wait()
        except TimeoutError:
            raise AssertionError(
                f"what was waited for did not come in {LONGEST_WAIT_S} s; sent: {self.sent()}"
            ) from None

    # Clients, keys and connections

    def session(self, account: Account | None = None) -> StringSession:
        """Give a session of this server: of an account, logged in already (no handshake, no login); or a new one."""
        session = StringSession()
        session.set_dc(show.DC, "127.0.0.1", self.server.port)
        if account is not None:
            session.auth_key = self.server.keys.mint(account).auth
        return session

    def client(self, session: StringSession, **options: Any) -> TelegramClient:
        """Make a stock client that repeats no request and waits out no flood, unless the options say so."""
        default: dict[str, Any] = {"flood_sleep_threshold": 0, "request_retries": 0, "raise_last_call_error": True}
        default |= {"connection_retries": 200, "retry_delay": 0.02}
        return TelegramClient(session, api_id=1, api_hash="test", **(default | options))

    def scan(self, login_token: bytes, by: Account) -> None:
        """Have the owner of an account scan the QR code that a client has drawn (`QRLogin.token`)."""
        key = self.server.keys.drawn(login_token)
        key.scanned_by, key.login_token = by, None
        for connection in key.connections:
            connection.push(types.UpdateShort(types.UpdateLoginToken(), now()))

    def revoke(self, account: Account) -> None:
        """Have the owner end all of an account's sessions: each request is refused, and it is pushed to no more."""
        for key in self.server.keys.of(account):
            key.account, key.refusal = None, (401, "SESSION_REVOKED")

    def burn(self, account: Account) -> None:
        """Refuse an account's keys as used from two places."""
        for key in self.server.keys.of(account):
            self.server.burn(key)

    def forget_keys(self, account: Account) -> None:
        """Know an account's keys no longer, and cut it off: it meets an error of the transport when it comes back."""
        for key in self.server.keys.of(account):
            self.server.keys.forget(key)
            self._cut(key)

    def disconnect(self, account: Account) -> None:
        """Cut an account's connections now. It may come back."""
        for key in self.server.keys.of(account):
            self._cut(key)

    def _cut(self, key: Key) -> None:
        for connection in set(key.connections):
            connection.cut(abruptly=True)
