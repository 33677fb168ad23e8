"""docs/protocol.md shows what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from ringmesh.protocol import element, signal_xml
from ringmesh.protocol.element import read
from ringmesh.protocol.signal_xml import decode_signal, encode_signal

PAGE = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text()
EXAMPLES = re.findall(r"^```xml\n(.*?)\n```$", PAGE, re.M | re.S)


def test_examples_are_frames() -> None:
    """Every frame that the page shows is one, and its signals are as we write them."""
    signals = 0
    for example in EXAMPLES:
        lines = example.splitlines() if example[1:3] == ": " else [example]
        for line in lines:
            frame = re.sub("^[CS]: ", "", line)
            message = read(frame)
            signal = decode_signal(message)
            if signal is not None:
                signals += 1
                to, message_id = message.attributes["to"], message.attributes["id"]
                assert encode_signal(signal, to, message_id) == frame
    assert signals == 3


def test_limits() -> None:
    """The limits that the page names are those of the code."""
    for text in (
        f"{element.MAX_FRAME_BYTES // 1024} KiB",
        f"{element.MAX_RECEIVED_BYTES // 1024} KiB",
        f"{element.MAX_DEPTH} levels deep, {element.MAX_ELEMENTS} elements,"
        f" {element.MAX_ATTRIBUTES} attributes",
        f"{signal_xml.MAX_OPPONENTS} opponents or {signal_xml.MAX_CANDIDATES} candidates",
        f"deeper than {signal_xml.MAX_USER_INFO_DEPTH} levels",
        f"longer than {signal_xml.MAX_FIELD_LENGTH} characters",
    ):
        assert text in re.sub(r"\s+", " ", PAGE), text
