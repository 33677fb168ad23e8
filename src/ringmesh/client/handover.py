"""Call signals as text, for another process of the same user that is to answer the call."""

from __future__ import annotations

import json

from ringmesh.errors import ProtocolError, SignalError
from ringmesh.protocol.element import read
from ringmesh.protocol.signal_xml import decode_signal, encode_signal
from ringmesh.signals import Signal


def pack(user_id: int, signal: Signal, device: str) -> str:
    """A received signal, its sender and the sender's device. Raises `SignalError` for one that
    cannot be written, since some SDKs use names that XML has not."""
    frame = encode_signal(signal, to="", message_id="")
    return json.dumps({"from": user_id, "device": device, "signal": frame})


def unpack(text: str) -> tuple[int, Signal, str]:
    """What was given to `pack`. Raises `ProtocolError` for anything else."""
    try:
        record = json.loads(text)
        user_id, device, frame = int(record["from"]), str(record["device"]), record["signal"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ProtocolError("a signal that was kept is unreadable") from error
    signal = decode_signal(read(str(frame)))
    if signal is None:
        raise SignalError("a signal that was kept is none")
    return user_id, signal, device
