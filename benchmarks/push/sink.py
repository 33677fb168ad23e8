"""A fake FCM in a process of its own that notes when each push came.

Prints one line of JSON when it is ready, and for each line that it reads one with all arrivals
since: number -> seconds of the monotonic clock, which all processes of a machine share.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path

from tests.push.fake_fcm import FakeFcm
from tests.push.provider import Answer, Certificate, Request, make_certificate


class Sink(FakeFcm):
    """Takes everything."""

    def __init__(self, certificate: Certificate) -> None:
        super().__init__(certificate)
        self.arrivals: dict[str, float] = {}

    def handle(self, request: Request) -> Answer:
        """A grant, or a push: both go well."""
        now = time.monotonic()
        self.requests.clear()
        if request.path == "/token":
            return super().handle(request)
        number = json.loads(request.body)["message"]["data"]["n"]
        self.arrivals.setdefault(number, now)
        return Answer(200, body={"name": f"projects/p/messages/{number}"})


async def _main(folder: Path) -> None:
    loop = asyncio.get_running_loop()
    async with Sink(make_certificate(folder)) as sink:
        ready = {"url": sink.url, "account": sink.service_account, "ca": str(sink.certificate.file)}
        print(json.dumps(ready), flush=True)
        while await loop.run_in_executor(None, sys.stdin.readline):
            print(json.dumps(sink.arrivals), flush=True)
            sink.arrivals = {}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        asyncio.run(_main(Path(name)))
