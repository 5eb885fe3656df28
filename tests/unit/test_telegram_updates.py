"""What updates are to the door: which say something, and whom they tell of."""

from typing import Any
from unittest.mock import Mock

import pytest
from telethon import types

from gateways.telegram import client, session
from gateways.telegram.accounts import Key
from gateways.telegram.client import Client
from gateways.telegram.incoming import ELSEWHERE, place_of, read
from gateways.telegram.lease import Held
from gateways.telegram.session import AccountSession, Peer
from tests.support.telegram.posts import now


def shared_place(latitude: float, **how: Any) -> Any:
    """A place that somebody shares for an hour, as a message in a private chat."""
    here = types.MessageMediaGeoLive(types.GeoPoint(2.0, latitude, 0), period=3600)
    return types.Message(7, types.PeerUser(5), now(), "", media=here, **how)


def test_a_place_that_is_shared_for_a_while_is_one_message_however_it_moves() -> None:
    held: Any = Mock()
    first = types.UpdateNewMessage(shared_place(1.0), 1, 1)
    moved = types.UpdateEditMessage(shared_place(1.1, edit_date=now()), 2, 1)
    said: Any = read(first, held)
    assert said.attachment == "[place 1.00000, 2.00000]"
    assert read(moved, held) is None
    assert place_of(first) is not None
    assert place_of(moved) is None, "that it moved does not say that its message has come"


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ({"reply_to_peer_id": types.PeerChannel(9)}, (0, None, ELSEWHERE)),
        ({"reply_to_peer_id": types.PeerChannel(9), "quote_text": "this"}, (0, None, "this")),
        ({"reply_to_peer_id": types.PeerChannel(9), "forum_topic": True, "reply_to_top_id": 4}, (4, None, ELSEWHERE)),
        ({"reply_to_peer_id": types.PeerUser(5)}, (0, 3, None)),
        ({}, (0, 3, None)),
    ],
)
def test_an_answer_to_another_chat_s_message_answers_none_of_this_one(
    header: dict[str, Any], told: tuple[int, int | None, str | None]
) -> None:
    """By its number alone an owner's `approve` to a post elsewhere would approve the call whose card has that number."""
    reply_to = types.MessageReplyHeader(reply_to_msg_id=3, **header)
    held: Any = Mock()
    said: Any = read(
        types.UpdateNewMessage(types.Message(7, types.PeerUser(5), now(), "approve", reply_to=reply_to), 1, 1), held
    )
    assert (said.topic_id, said.reply_to, said.quote) == told


def test_of_those_whom_updates_tell_of_the_last_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "MOST_USERS", 3)
    keeps: Any = Client.__new__(Client)
    keeps._users = {}
    for told in ([1, 2, 3], [1], [4]):
        keeps._keep(types.User(n) for n in told)
    assert list(keeps._users) == [3, 1, 4]


def test_a_session_forgets_people_and_no_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "MOST_PEERS", 3)
    held = Held("bot", "bot", "telegram", 1, None, 1, "h", Key(2, "127.0.0.1", 443, bytes(256)), 1, "us", 0.0)
    keeps = AccountSession(held, {}, [Peer(-1007, 7, None, None, "Group")])
    for n in (11, 12, 13):
        keeps.process_entities([types.User(n, access_hash=n, first_name="P")])
    assert [keeps.get_entity_rows_by_id(one) for one in (-1007, 11, 12, 13)] == [(-1007, 7), None, None, (13, 13)]
    assert list(keeps.met) == [11, 12, 13], "and writes them all the same"
