"""HTTP/1.1 as a client, for push services that offer nothing else, over `h11`. Pure."""

from __future__ import annotations

from dataclasses import replace

import h11

from ringmesh.server.push.http_exchange import (
    MAX_BODY,
    Done,
    Event,
    Head,
    Lost,
    Reply,
    Request,
    reply_of,
)


class Http1:
    """A `Core`: one request after the other."""

    shared = False

    def __init__(self) -> None:
        self._h11 = h11.Connection(h11.CLIENT)
        self._stream_id = 0
        self._busy = False
        self._over = False
        self._reply: Reply | None = None
        self._body = b""

    @property
    def over(self) -> bool:
        """See `Core`."""
        return self._over

    @property
    def room(self) -> int:
        """See `Core`."""
        return 0 if self._busy or self._over else 1

    def open(self) -> bytes:
        """See `Core`."""
        return b""

    def begin(self, request: Request) -> tuple[int, bytes]:
        """See `Core`."""
        self._stream_id += 1
        self._busy, self._reply, self._body = True, None, b""
        headers = [("host", request.authority), *request.headers.items()]
        headers.append(("content-length", str(len(request.body))))
        sent = [
            self._h11.send(h11.Request(method="POST", target=request.path, headers=headers)),
            self._h11.send(h11.Data(data=request.body)),
            self._h11.send(h11.EndOfMessage()),
        ]
        return self._stream_id, b"".join(part for part in sent if part)

    def receive(self, data: bytes) -> tuple[list[Event], bytes]:
        """See `Core`."""
        events: list[Event] = []
        if self._over:
            return events, b""
        try:
            self._h11.receive_data(data)
            while not self._over:
                event = self._h11.next_event()
                if event is h11.NEED_DATA or event is h11.PAUSED:
                    break
                events += self._happened(event)
        except h11.RemoteProtocolError:
            events += self._stop()
        if not data:
            events += self._stop()
        return events, b""

    def cancel(self, stream_id: int) -> bytes:
        """See `Core`. The connection is of no use without its answer."""
        if self._busy and stream_id == self._stream_id:
            self._stop()
        return b""

    def _happened(self, event: object) -> list[Event]:
        if isinstance(event, h11.Response):
            self._reply = reply_of([*event.headers], b"%d" % event.status_code)
            return [Head(self._stream_id, self._reply)]
        if isinstance(event, h11.Data):
            self._body += event.data
            return self._done() if len(self._body) >= MAX_BODY else []
        if isinstance(event, h11.EndOfMessage):
            return self._done()
        if isinstance(event, h11.ConnectionClosed):
            return self._stop()
        return []

    def _done(self) -> list[Event]:
        assert self._reply is not None
        self._busy = False
        if self._h11.their_state is h11.DONE and self._h11.our_state is h11.DONE:
            self._h11.start_next_cycle()
        else:
            self._over = True
        return [Done(self._stream_id, replace(self._reply, body=self._body[:MAX_BODY]))]

    def _stop(self) -> list[Event]:
        busy, self._busy, self._over = self._busy, False, True
        if not busy:
            return []
        if self._reply is not None:
            return [Done(self._stream_id, self._reply)]
        return [Lost(self._stream_id, False, "the connection ended")]
