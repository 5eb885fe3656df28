"""The line of what a Telegram account has to take in: chats by turns, and how far the account is with what was taken."""

import random
from collections import defaultdict
from itertools import chain

from gateways.telegram.incoming import Incoming
from gateways.telegram.line import MOST_OF_A_CHAT, Line
from gateways.telegram.session import OWN, Progress, States
from tests.support.telegram.posts import now


def said(chat: int, number: int, album: int | None = None) -> Incoming:
    return Incoming(chat, number, chat, None, None, str(number), album=album)


def at(pts: int) -> States:
    return {OWN: Progress(pts, 0, now(), 0)}


def pts_of(states: States | None) -> int | None:
    return states[OWN].pts if states else None


def test_who_says_one_thing_waits_behind_what_is_being_taken_and_not_behind_who_says_many() -> None:
    line = Line()
    line.put([said(1, n) for n in range(100)])
    taken = line.next()
    assert len(taken) == MOST_OF_A_CHAT
    line.put([said(2, 100)])
    line.taken(taken)
    assert line.next()[0].said.chat_id == 2


def test_nothing_counts_as_done_while_something_that_came_before_it_waits() -> None:
    line, all_of_it = Line(), 2 * MOST_OF_A_CHAT
    for n in range(all_of_it):
        line.put([said(1, n)], at(n))
    line.taken(line.next())
    line.put([said(2, all_of_it)], at(all_of_it))
    second = line.next()
    assert [entry.said.message_id for entry in second] == [all_of_it, *range(MOST_OF_A_CHAT, all_of_it - 1)]
    assert pts_of(line.states_with(second)) == all_of_it - 2
    line.taken(second)
    assert pts_of(line.states_with(line.next())) == all_of_it


def test_parts_of_an_album_stay_together() -> None:
    line = Line()
    line.put([said(1, n) for n in range(3)])
    line.put([said(2, n, album=7) for n in range(3, 6)])
    assert [entry.said.message_id for entry in line.next()] == [0, 3, 4, 5, 1, 2]


def test_whatever_comes_and_is_taken_each_chat_keeps_its_order_and_no_state_is_ahead() -> None:
    for seed in range(30):
        chance, line, order = random.Random(seed), Line(), defaultdict[int, list[int]](list)
        came, done = 0, set[int]()
        while came < 200 or line:
            if came < 200 and (not line or chance.random() < 0.7):
                for _ in range(chance.randint(1, 8)):
                    line.put([said(chance.choice([1, 1, 1, 2, 3]), came)], at(came))
                    came += 1
                continue
            taken = line.next()
            if came < 200:
                line.put([said(3, came)], at(came))  # meanwhile
                came += 1
            done |= {entry.said.message_id for entry in taken}
            states = pts_of(line.states_with(taken))
            line.taken(taken)
            for entry in taken:
                order[entry.said.chat_id].append(entry.said.message_id)
            assert states is None or set(range(states + 1)) <= done
        assert all(numbers == sorted(numbers) for numbers in order.values())
        assert sorted(chain(*order.values())) == list(range(came))
