"""`CallEvent`: the push payload that mobile call kits read, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmesh.callkit import CallEvent
from ringmesh.errors import ProtocolError
from tests.callkit.events import EVENT, PUSH


def test_it_is_the_push_payload() -> None:
    """The map has the keys and types of the payload, both ways, and so has its JSON."""
    assert EVENT.to_map() == PUSH
    assert CallEvent.from_map(PUSH) == EVENT
    assert CallEvent.from_json(EVENT.to_json()) == EVENT


def test_numbers_may_be_text() -> None:
    """Some push services turn every value into text."""
    texts = {name: str(value) for name, value in PUSH.items()}
    assert CallEvent.from_map(texts) == EVENT


def test_copy_with_changes_what_is_named() -> None:
    """A copy differs in what was given, and in nothing else."""
    copy = EVENT.copy_with(caller_name="Bob")
    assert (copy.caller_name, copy.session_id) == ("Bob", EVENT.session_id)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("session_id", value) for value in (None, "", "a b", "x" * 129, 7, "ä", "a\n")),
        *(("call_type", value) for value in (None, 0, 3, "x", True, 1.0, [])),
        *(("caller_id", value) for value in (None, 0, -1, 2**63, "²", "1" * 30, {})),
        *(("caller_name", value) for value in (None, "", "\x00\x1b", 5)),
        *(("call_opponents", value) for value in (None, "", ",", "1,,2", "1,x", [0], [], {}, 5)),
        ("call_opponents", ",".join(["1"] * 65)),
        *(("user_info", value) for value in ("[]", "{", 5, "x" * 5000, '"text"', "[" * 4000)),
        ("user_info", {5: "x"}),
        ("user_info", {"a": "x" * 5000}),
        ("user_info", {"a": object()}),
    ],
)
def test_malformed_pushes_are_refused(name: str, value: object) -> None:
    """What is missing or wrong is named in a typed error."""
    with pytest.raises(ProtocolError, match=name):
        CallEvent.from_map({**PUSH, name: value})


@pytest.mark.parametrize("data", [None, [], "text", 5])
def test_what_is_no_map_is_refused(data: object) -> None:
    """A payload that is no map is an error of its own."""
    with pytest.raises(ProtocolError):
        CallEvent.from_map(data)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "javascript:1", "https://x\n", 5, ""])
def test_pictures_come_from_the_web_or_not_at_all(url: object) -> None:
    """An address that is none is left out: the call rings without a picture."""
    assert CallEvent.from_map({**PUSH, "photo_url": url}).call_photo is None


def test_names_cannot_steer_a_terminal() -> None:
    """Control characters and text direction marks are taken out of names."""
    event = CallEvent.from_map({**PUSH, "caller_name": "Eve\x1b[2J\u202eevE\n"})
    assert event.caller_name.isprintable()


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(sorted(PUSH)), _JSON))
def test_anything_else_is_an_event_or_a_typed_error(data: dict[str, Any]) -> None:
    """Whatever a push holds: an event that survives the round trip, or `ProtocolError`."""
    try:
        event = CallEvent.from_map({**PUSH, **data})
    except ProtocolError:
        return
    assert CallEvent.from_json(event.to_json()) == event
    json.dumps(event.to_map()).encode()
