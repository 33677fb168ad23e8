"""The codecs alone, paced as in a call, with the settings libwebrtc gives them."""

from __future__ import annotations

import time
from fractions import Fraction
from multiprocessing.connection import Connection

import av
import numpy as np

from benchmarks.media_cpu.pictures import FRAME_RATE, HEIGHT, WIDTH, bounce, pictures

WARM_UP = 2
"""Seconds that do not count."""

# libwebrtc denoises camera pictures (level 4: adaptive): half as much work again as without.
DENOISE = {"noise-sensitivity": "4"}

LIBVPX_OPTIONS = {
    "deadline": "realtime",
    "cpu-used": "-6",
    "lag-in-frames": "0",
    "error-resilient": "0",
    "static-thresh": "1",
    "undershoot-pct": "100",
    "overshoot-pct": "15",
    "drop-threshold": "30",
    "qmin": "2",
    "qmax": "56",
    "rc_init_occupancy": "0",
}


def run_codec(pipe: Connection, *, kbps: int, seconds: float, denoise: bool) -> None:
    """Entry of the process: encode and decode VP8 and Opus, report the CPU of each."""
    video = _Video(kbps, DENOISE if denoise else {})
    audio = _Audio()
    pipe.send("settled")
    pipe.recv()
    begun = time.monotonic()
    number = 0
    while time.monotonic() - begun < seconds + WARM_UP:
        if number == WARM_UP * FRAME_RATE:
            video.reset()
            audio.reset()
        video.step(number)
        for _ in range(50 * (number + 1) // FRAME_RATE - 50 * number // FRAME_RATE):
            audio.step()
        number += 1
        time.sleep(max(0.0, begun + number / FRAME_RATE - time.monotonic()))
    # Per second of media, not of waiting: a machine that is busy otherwise changes nothing.
    media = number / FRAME_RATE - WARM_UP
    pipe.send(
        {
            "encode": video.encoding / media,
            "decode": video.decoding / media,
            "opus_encode": audio.encoding / media,
            "opus_decode": audio.decoding / media,
            "kbps": video.bytes * 8 / media / 1000,
            "fps_sent": video.packets / media,
        }
    )
    pipe.recv()


class _Video:
    def __init__(self, kbps: int, denoise: dict[str, str]) -> None:
        self._frames = [frame.to_av() for frame in pictures()]
        encoder = av.CodecContext.create("libvpx", "w")
        encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        encoder.time_base = Fraction(1, 90_000)
        encoder.framerate = Fraction(FRAME_RATE)
        encoder.bit_rate = kbps * 1000
        encoder.thread_count = 1
        encoder.gop_size = 3000
        encoder.options = (
            LIBVPX_OPTIONS
            | denoise
            | {
                "minrate": str(kbps * 1000),
                "maxrate": str(kbps * 1000),
                "bufsize": str(kbps * 1000),
            }
        )
        self._encoder = encoder
        self._decoder = av.CodecContext.create("libvpx", "r")
        self._decoder.thread_count = 1
        self.reset()

    def reset(self) -> None:
        self.encoding = self.decoding = 0.0
        self.bytes = self.packets = 0

    def step(self, number: int) -> None:
        frame = self._frames[bounce(number)]
        frame.pts, frame.time_base = number * 90_000 // FRAME_RATE, Fraction(1, 90_000)
        frame.duration = 90_000 // FRAME_RATE
        begun = time.thread_time()
        packets = self._encoder.encode(frame)
        encoded = time.thread_time()
        for packet in packets:
            self._decoder.decode(packet)
            self.bytes += packet.size
            self.packets += 1
        self.encoding += encoded - begun
        self.decoding += time.thread_time() - encoded


class _Audio:
    def __init__(self) -> None:
        tone = (np.sin(np.arange(960) * 2 * np.pi * 440 / 48_000) * 8192).astype(np.int16)
        self._frame = av.AudioFrame.from_ndarray(tone[None, :], format="s16", layout="mono")
        self._frame.sample_rate = 48_000
        options = {"application": "voip", "fec": "1", "packet_loss": "0", "vbr": "on"}
        self._encoder = av.CodecContext.create("libopus", "w")
        self._encoder.sample_rate, self._encoder.layout = 48_000, "mono"
        self._encoder.format, self._encoder.bit_rate = "s16", 32_000
        self._encoder.options = options
        self._decoder = av.CodecContext.create("libopus", "r")
        self._decoder.sample_rate, self._decoder.layout = 48_000, "mono"
        self._pts = 0
        self.reset()

    def reset(self) -> None:
        self.encoding = self.decoding = 0.0

    def step(self) -> None:
        self._frame.pts, self._frame.time_base = self._pts, Fraction(1, 48_000)
        self._pts += 960
        begun = time.thread_time()
        packets = self._encoder.encode(self._frame)
        encoded = time.thread_time()
        for packet in packets:
            self._decoder.decode(packet)
        self.encoding += encoded - begun
        self.decoding += time.thread_time() - encoded
