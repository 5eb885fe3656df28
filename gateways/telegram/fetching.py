"""`fetch_media`: takes a message that waits into its chat, its files fetched and its voice heard. Queue `in:{account}`, lane
`in:{account}:{chat session}`. Created by `waiting.hold`, and by `assistant.held` where a stranger is allowed.

    the message, its album ─▶ fetch each file, piece by piece ─▶ all of the album here? ─▶ have voice transcribed, and wait
                                  ▲ its reference expired: look at the message anew           │
                                  └───────────────────────────────────────┘                   ▼
                  into the chat, the word about what was not taken, and the job's end: one transaction

It asks Telegram for bytes, which changes nothing there. It may be repeated at any point: pieces that have come are kept, and a
message leaves `telegram_waiting` in the transaction in which it enters the chat.

It never fails a message: what cannot be fetched or heard is told in its place, and the words are taken all the same.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import structlog
from telethon.errors import (
    AuthKeyError,
    FileReferenceEmptyError,
    FileReferenceExpiredError,
    FileReferenceInvalidError,
    FilerefUpgradeNeededError,
    FloodError,
    RPCError,
    UnauthorizedError,
)

from assistant import media
from assistant.arrivals import FETCH_MEDIA, Fetched, FetchMedia
from assistant.media import Media
from assistant.settings import MediaSettings
from assistant.transcription import TRANSCRIBE, TranscribeInput
from gateways.telegram.media import described_anew, is_same_file, pieces
from gateways.telegram.taking_in import Message, put_together, take_in
from gateways.telegram.waiting import Part, move, waiting
from jobs_core import (
    Complete,
    Database,
    HandlerTable,
    Job,
    Jobs,
    LeaseLost,
    NewJob,
    Outcome,
    Retry,
    Snooze,
    Wait,
    db,
    fence,
)
from jobs_core.children import CHILDREN
from jobs_core.steps import Child, Waiting

log = structlog.get_logger()

ALBUM_QUIET_S, MOST_OF_ALBUM = 1.0, 10
"""The parts of an album come within a second, ten at most."""
DATABASE_PAUSE = timedelta(seconds=1)
NETWORK_PAUSE_S = 10.0
"""After a connection that broke, until the job's time to give up; no retry is spent."""
HEARD_WITHIN, HEARD_WITHIN_LENGTHS = timedelta(minutes=2), 4
"""So long a voice message waits for its words, and so many times its length besides; then it is taken without them."""

_EXPIRED = (FileReferenceExpiredError, FileReferenceEmptyError, FileReferenceInvalidError, FilerefUpgradeNeededError)

ClientOf = Callable[[str], Any]
"""The Telethon client of an account that this process holds; None: it does not hold that one now."""


def register(
    table: HandlerTable, *, database: Database, jobs: Jobs, client_of: ClientOf, settings: MediaSettings
) -> None:
    """Bind the handler to its type, in a process that holds accounts; its worker serves `arrivals.queue_of` each."""
    table.register_handler(FETCH_MEDIA, Fetching(database, jobs, client_of, settings).run)


class _PutBackError(Exception):
    """The run cannot go on now."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__("put back")
        self.outcome = outcome


class Fetching:
    """The handler of `fetch_media` jobs."""

    def __init__(self, database: Database, jobs: Jobs, client_of: ClientOf, settings: MediaSettings) -> None:
        self._database = database
        self._jobs = jobs
        self._client_of = client_of
        self._settings = settings

    async def run(self, job: Job[FetchMedia]) -> Outcome:
        """Take a message in, or the whole album that it is a part of. Raises LeaseLost."""
        try:
            message = await self._ready(job)
        except _PutBackError as now:
            return now.outcome
        except LeaseLost:
            raise
        except Exception as error:
            if db.will_pass(error):
                return Snooze(DATABASE_PAUSE, reason=f"the database was away: {db.describe(error)}")
            if job.retry_count < FETCH_MEDIA.retries.max_retries:
                raise
            log.exception("media.broke")
            message = await self._words_alone(job)
        if message is None:
            return Complete(Fetched(status="nothing_to_do"))
        return Complete(Fetched(status="taken_in"), also=partial(take_in, jobs=self._jobs, message=message))

    async def _ready(self, job: Job[FetchMedia]) -> Message | None:
        """The message as it goes into its chat; None where that was done. Raises _PutBackError while something is to come."""
        async with self._database.connection() as conn:
            parts, looked_s = await waiting(conn, job.input.waiting_id), time.monotonic()
        if not parts:
            return None
        for part in parts:
            await self._fetch(job, part)
        quiet_s = min(part.age_s for part in parts) + time.monotonic() - looked_s
        if parts[0].of_album and len(parts) < MOST_OF_ALBUM and quiet_s < ALBUM_QUIET_S:
            raise _PutBackError(Snooze(timedelta(seconds=ALBUM_QUIET_S - quiet_s), reason="more of its album may come"))
        async with self._database.connection() as conn:
            files = await media.find(conn, [part.file_id for part in parts if part.file_id is not None])
        heard = await self._heard(job, [file for file in files if file.kind == "voice" and file.state == "here"])
        async with self._database.connection() as conn:
            return await put_together(conn, parts, files, heard)

    async def _words_alone(self, job: Job[FetchMedia]) -> Message:
        """The message as it is without what came with it, where an error of this program keeps that from it for good."""
        async with self._database.connection() as conn:
            parts = await waiting(conn, job.input.waiting_id)
            files = await media.find(conn, [part.file_id for part in parts if part.file_id is not None])
        for file in files:
            await self._refuse(job, file, f"lost by an error of this program, see job {job.id}")
        ids = [file.id for file in files]
        return Message(parts, "".join(part.before for part in parts), (), ids, ())

    async def _fetch(self, job: Job[FetchMedia], part: Part) -> None:
        if part.file_id is None:
            return
        async with self._database.connection() as conn:
            (file,) = await media.find(conn, [part.file_id])
        if file.state != "coming":
            return
        try:
            if (client := self._client_of(part.account)) is None:
                raise ConnectionError  # as one that broke: this process does not hold the account now
            try:
                await self._download(job, client, part, file)
            except _EXPIRED:
                await self._download_anew(job, client, part, file)
        except (RPCError, ValueError, OSError, EOFError) as error:  # ValueError: Telethon does not know the chat
            await self._not_fetched(job, file, error)

    async def _download(self, job: Job[FetchMedia], client: Any, part: Part, file: Media) -> None:
        """Fetch what has not come yet. Raises what Telethon raises, and LeaseLost."""
        assert part.location is not None, "a message with a file says where it is"
        async with self._database.connection() as conn:
            nth, size = await media.came(conn, file.id)
        is_whole = size % media.PIECE_BYTES or 0 < file.claimed_bytes <= size
        if not is_whole:
            async for piece in pieces(client, part.location, part.dc_id, from_nth=nth):
                size += len(piece)
                if size > self._settings.media_max_bytes:
                    await self._refuse(job, file, media.too_large(self._settings))
                    return
                async with self._database.transaction() as conn:
                    await fence(conn, job)
                    await media.add_piece(conn, file.id, nth, piece)
                nth += 1
        async with self._database.transaction() as conn:
            await fence(conn, job)
            await media.arrive(conn, file, self._settings)

    async def _download_anew(self, job: Job[FetchMedia], client: Any, part: Part, file: Media) -> None:
        """Fetch by what the message says now."""
        anew = await described_anew(client, part.chat_id, part.message_id)
        if anew is None or part.location is None or not is_same_file(anew.location, part.location):
            await self._refuse(job, file, "taken back by its sender")
            return
        async with self._database.transaction() as conn:
            await fence(conn, job)
            await move(conn, part.id, anew)
        await self._download(job, client, replace(part, location=anew.location, dc_id=anew.dc_id), file)

    async def _not_fetched(self, job: Job[FetchMedia], file: Media, error: Exception) -> None:
        """Try again later, or refuse the file where that is of no more use. Raises _PutBackError."""
        said = type(error).__name__  # Telethon's names are Telegram's codes in other letters
        waits = isinstance(error, OSError | EOFError | FloodError | UnauthorizedError | AuthKeyError)
        waits = waits and not isinstance(error, _EXPIRED)
        last = not waits and job.retry_count >= FETCH_MEDIA.retries.max_retries
        if last or datetime.now(UTC) >= job.give_up_at:
            log.warning("media.not_fetched", file=file.id, error=said)
            await self._refuse(job, file, f"not to be had from Telegram ({said})")
            return
        why = f"file {file.id} could not be fetched: {said}"
        if waits:  # for as long as Telegram says; else for the network, or for somebody to log in anew
            after = timedelta(seconds=getattr(error, "seconds", NETWORK_PAUSE_S))
            raise _PutBackError(Snooze(after, reason=why))
        raise _PutBackError(Retry(why))

    async def _refuse(self, job: Job[FetchMedia], file: Media, why: str) -> None:
        async with self._database.transaction() as conn:
            await fence(conn, job)
            await media.refuse(conn, file.id, why)

    async def _heard(self, job: Job[FetchMedia], clips: Sequence[Media]) -> Mapping[int, Child]:
        """How the transcription of each clip ended, by file; one that is not in it took too long. Raises _PutBackError."""
        if not clips:
            return {}
        ids = {
            clip.id: await job.spawn(f"transcribe {clip.id}", NewJob(TRANSCRIBE, TranscribeInput(file_id=clip.id)))
            for clip in clips
        }
        since = datetime.fromisoformat(await job.step("heard since", lambda: datetime.now(UTC).isoformat()))
        longest = HEARD_WITHIN + timedelta(seconds=HEARD_WITHIN_LENGTHS * sum(clip.seconds or 0 for clip in clips))
        left = since + longest - datetime.now(UTC)
        try:
            ended = {child.id: child for child in await job.wait_for_children()}
        except Waiting:  # as it would for ever
            if left > timedelta(0):
                raise _PutBackError(Wait(CHILDREN, until=left)) from None
            ended = dict[int, Child]()
            for child_id in ids.values():
                await self._jobs.cancel(child_id, reason="its message was taken without its words: it took too long")
        return {file_id: ended[child_id] for file_id, child_id in ids.items() if child_id in ended}
