"""Acknowledgements."""

from __future__ import annotations

import pytest

from ringmesh.protocol.element import Element
from ringmesh.protocol.stream_management import SM_MODULUS, InboundCounter, OutboundQueue


def answer(count: str | int | None) -> Element:
    """An ``<a/>`` of the peer."""
    return Element("a", "urn:xmpp:sm:3", {} if count is None else {"h": str(count)})


def test_counting() -> None:
    """Each stanza handled counts one, from zero on."""
    counter = InboundCounter()
    assert counter.answer() == answer(0)
    counter.stanza_handled()
    counter.stanza_handled()
    assert counter.answer() == answer(2)


def test_acknowledging() -> None:
    """A count acknowledges the oldest stanzas up to it, each once."""
    queue = OutboundQueue()
    for frame in "abcd":
        queue.sent(frame)
    assert queue.acknowledged(answer(2)) == ("a", "b")
    assert queue.acknowledged(answer(2)) == ()
    assert queue.unacknowledged == ("c", "d")
    assert queue.acknowledged(answer(4)) == ("c", "d")


@pytest.mark.parametrize("count", [None, "", "x", "-1", "3", "99999999999", "1.0", "²"])
def test_wrong_count(count: str | None) -> None:
    """A count that makes no sense changes nothing."""
    queue = OutboundQueue()
    queue.sent("a")
    queue.sent("b")
    assert queue.acknowledged(answer(count)) == ()
    assert queue.acknowledged(answer(1)) == ("a",)
    assert queue.acknowledged(answer(0)) == ()


def test_bounded_queue() -> None:
    """Beyond its limit the queue forgets the oldest, and counts go on being right."""
    queue = OutboundQueue(limit=2)
    for frame in "abcde":
        queue.sent(frame)
    assert queue.unacknowledged == ("d", "e")
    assert queue.acknowledged(answer(2)) == ()
    assert queue.acknowledged(answer(4)) == ("d",)
    assert queue.acknowledged(answer(5)) == ("e",)


def test_counts_wrap_around() -> None:
    """After 2**32 - 1 comes 0, on both sides."""
    counter = InboundCounter(SM_MODULUS - 1)
    queue = OutboundQueue(acknowledged=SM_MODULUS - 1)
    counter.stanza_handled()
    queue.sent("a")
    assert counter.answer() == answer(0)
    assert queue.acknowledged(counter.answer()) == ("a",)
