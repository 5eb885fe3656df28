"""A chat as an account writes to it: a piece becomes a request, with its random ids, and an answer the ids of messages.

What Telegram refuses for its dress it is sent again without: an answer to a message that was deleted, styles that it does not
take, a picture that it does not show. It took nothing of the first, so that the random id is the same.
"""

import mimetypes
import secrets
from dataclasses import replace
from hashlib import md5
from typing import Any

from telethon import Button, TelegramClient, functions, types
from telethon.errors import RPCError

from assistant.content import File
from gateways.telegram.egress.ask import ask, name_of
from gateways.telegram.egress.pieces import Buttons, FilesPiece, Piece, TextPiece
from gateways.telegram.egress.places import Place, SentMessage

_PART_BYTES = 512 * 1024
_NO_SUCH_MESSAGE = {"REPLY_MESSAGE_ID_INVALID", "REPLY_TO_INVALID"}
_STYLES = {"ENTITY_BOUNDS_INVALID", "ENTITIES_TOO_LONG", "ENTITY_TEXTURL_INVALID", "ENTITY_MENTION_USER_INVALID"}
_NO_PHOTO = {"PHOTO_INVALID", "PHOTO_INVALID_DIMENSIONS", "PHOTO_SAVE_FILE_INVALID", "IMAGE_PROCESS_FAILED"}


class Outbox:
    """Raises what `ask` does."""

    def __init__(self, client: TelegramClient, place: Place) -> None:
        self.client = client
        self._place = place

    async def send(self, piece: Piece, *, reply_to: int | None = None) -> list[SentMessage] | None:
        """Send a piece; None: it was there already. reply_to: the message that it answers."""
        request = await self._request(piece, self._answers(reply_to))
        while True:
            try:
                return _ids(await ask(self.client, request), piece)
            except RPCError as error:
                name = name_of(error)
                if name == "RANDOM_ID_DUPLICATE":
                    return None
                if name in _NO_PHOTO and isinstance(piece, FilesPiece) and piece.are_photos:
                    return await self.send(replace(piece, are_photos=False), reply_to=reply_to)
                if not self._undress(request, name):
                    raise

    async def edit(self, message_id: int, piece: TextPiece) -> None:
        """Have a message say something else. One that says it already is left as it is."""
        request = functions.messages.EditMessageRequest(
            self._place.peer,
            message_id,
            no_webpage=True,
            message=piece.text.text,
            entities=piece.text.entities(),
            reply_markup=self._markup(piece.buttons),
        )
        while True:
            try:
                await ask(self.client, request)
                return
            except RPCError as error:
                name = name_of(error)
                if name == "MESSAGE_NOT_MODIFIED":
                    return
                if not self._undress(request, name):
                    raise

    async def delete(self, message_ids: list[int]) -> None:
        """Take messages back, for everybody; those that are gone are passed over."""
        peer = self._place.peer
        if isinstance(peer, types.InputPeerChannel):
            channel = types.InputChannel(peer.channel_id, peer.access_hash)
            await ask(self.client, functions.channels.DeleteMessagesRequest(channel, message_ids))
        else:
            await ask(self.client, functions.messages.DeleteMessagesRequest(message_ids, revoke=True))

    async def show_typing(self) -> None:
        """Show that an answer is being written, for some five seconds."""
        action, topic = types.SendMessageTypingAction(), self._place.topic_id or None
        await ask(self.client, functions.messages.SetTypingRequest(self._place.peer, action, top_msg_id=topic))

    async def _request(self, piece: Piece, answers: Any) -> Any:
        messages, peer = functions.messages, self._place.peer
        if isinstance(piece, TextPiece):
            return messages.SendMessageRequest(
                peer,
                piece.text.text,
                random_id=piece.random_id,
                no_webpage=True,
                entities=piece.text.entities(),
                reply_to=answers,
                reply_markup=self._markup(piece.buttons),
            )
        media = [await self._upload(file, is_photo=piece.are_photos) for file in piece.files]
        if len(media) == 1:
            return messages.SendMediaRequest(peer, media[0], "", random_id=piece.random_ids[0], reply_to=answers)
        named = [_named(await ask(self.client, messages.UploadMediaRequest(peer, one))) for one in media]
        items = [
            types.InputSingleMedia(one, "", random_id=number)
            for one, number in zip(named, piece.random_ids, strict=True)
        ]
        return messages.SendMultiMediaRequest(peer, items, reply_to=answers)

    async def _upload(self, file: File, *, is_photo: bool) -> Any:
        """A file as media of a message; its bytes are at Telegram then."""
        file_id, parts = secrets.randbits(63), range(0, max(len(file.content), 1), _PART_BYTES)
        for n, start in enumerate(parts):
            part = file.content[start : start + _PART_BYTES]
            await ask(self.client, functions.upload.SaveFilePartRequest(file_id, n, part))
        name = file.name or f"file{mimetypes.guess_extension(file.media_type) or ''}"
        checksum = md5(file.content, usedforsecurity=False).hexdigest()
        uploaded = types.InputFile(file_id, len(parts), name, checksum)
        if is_photo:
            return types.InputMediaUploadedPhoto(uploaded)
        attributes = [types.DocumentAttributeFilename(name)]
        return types.InputMediaUploadedDocument(uploaded, file.media_type, attributes, force_file=True)

    def _answers(self, message_id: int | None) -> Any:
        """What a message answers: another one, or at least its topic, so that it stands there."""
        topic = self._place.topic_id
        if message_id is None:
            return types.InputReplyToMessage(topic) if topic else None
        return types.InputReplyToMessage(message_id, top_msg_id=topic or None)

    def _undress(self, request: Any, name: str) -> bool:
        """Take out of a refused request what it was refused for; False: nothing can be."""
        topic = self._answers(None)
        if name in _NO_SUCH_MESSAGE and bytes(request.reply_to or b"") != bytes(topic or b""):
            request.reply_to = topic
            return True
        if name in _STYLES and request.entities:
            request.entities = None
            return True
        return False

    def _markup(self, buttons: Buttons) -> Any:
        rows = [[Button.inline(button["label"], button["data"].encode()) for button in row] for row in buttons]
        return self.client.build_reply_markup(rows) if rows else None


def _named(media: Any) -> Any:
    """What was uploaded, as an album names it."""
    if isinstance(media, types.MessageMediaPhoto):
        photo = media.photo
        return types.InputMediaPhoto(types.InputPhoto(photo.id, photo.access_hash, photo.file_reference))
    document = media.document
    return types.InputMediaDocument(types.InputDocument(document.id, document.access_hash, document.file_reference))


def _ids(answer: Any, piece: Piece) -> list[SentMessage]:
    """As what messages Telegram says that a piece stands there."""
    if isinstance(answer, types.UpdateShortSentMessage):
        return [SentMessage(answer.id, piece.random_ids[0])]
    return [
        SentMessage(update.id, update.random_id)
        for update in answer.updates
        if isinstance(update, types.UpdateMessageID) and update.random_id in piece.random_ids
    ]
