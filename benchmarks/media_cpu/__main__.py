"""CPU of a 720p30 call per process, beside the codecs alone: ``python -m benchmarks.media_cpu``.

Four cases take turns, each with two processes at a time on this machine:

* codec: each process encodes and decodes VP8 (libvpx through PyAV, libwebrtc's settings, one
  thread, paced in real time) and Opus; only the time inside the codecs counts. libwebrtc's
  settings include libvpx's denoiser; a second run without it shows what that costs;
* call: two processes call each other over loopback; each sends and receives 720p30 and sound and
  hands pictures and sound to callbacks; the whole process counts;
* one way: the same, but one process only sends and the other only receives.

CPU is in cores; the pictures are the same in all cases and made beforehand. Every ratio compares
figures of the same round.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from typing import Any

from benchmarks.media_cpu.call import run_side
from benchmarks.media_cpu.codec import run_codec

AIM = 1.35

_context = multiprocessing.get_context("spawn")


def run_pair(
    left: tuple[Callable[..., None], dict[str, Any]],
    right: tuple[Callable[..., None], dict[str, Any]],
) -> list[dict[str, float]]:
    """Run two processes, relay what they say to each other, and return their figures."""
    pipes: list[Connection] = []
    processes = []
    for target, arguments in (left, right):
        ours, theirs = _context.Pipe()
        process = _context.Process(target=target, args=(theirs,), kwargs=arguments, daemon=True)
        process.start()
        theirs.close()
        pipes.append(ours)
        processes.append(process)
    figures: dict[int, dict[str, float]] = {}
    settled = 0
    while len(figures) < 2:
        ready = wait(pipes, timeout=120)
        if not ready:
            raise TimeoutError("the processes say nothing")
        for pipe in ready:
            index = pipes.index(pipe)  # type: ignore[arg-type]
            message = pipes[index].recv()
            if message == "settled":
                settled += 1
                if settled == 2:
                    for other in pipes:
                        other.send("measure")
            elif isinstance(message, dict):
                figures[index] = message
            else:
                pipes[1 - index].send(message)
    for pipe in pipes:
        pipe.send("end")
    for process in processes:
        process.join(20)
    return [figures[0], figures[1]]


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=15, help="length of one measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kbps", type=int, default=1500)
    arguments = parser.parse_args()
    common = {"kbps": arguments.kbps, "seconds": arguments.seconds}
    codec, plain, call, send, receive = [], [], [], [], []
    for _ in range(arguments.rounds):
        for figures, denoise in ((codec, True), (plain, False)):
            one = (run_codec, common | {"denoise": denoise})
            figures.append(_mean(run_pair(one, one)))
        both = common | {"sends": True, "receives": True}
        sides = run_pair((run_side, both | {"offers": True}), (run_side, both | {"offers": False}))
        call.append(_mean(sides))
        sender, receiver = run_pair(
            (run_side, common | {"sends": True, "receives": False, "offers": True}),
            (run_side, common | {"sends": False, "receives": True, "offers": False}),
        )
        send.append(sender)
        receive.append(receiver)
    print_codecs("as libwebrtc sets it", codec)
    print_codecs("without its denoiser", plain)
    print_table(codec, call, send, receive)


def _mean(sides: list[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.mean(side[name] for side in sides) for name in sides[0]}


def print_codecs(name: str, rounds: list[dict[str, float]]) -> None:
    """One line on the codecs alone."""

    def middle(key: str) -> float:
        return statistics.median(entry[key] for entry in rounds)

    print(
        f"VP8 {name}: encode {middle('encode'):.3f}, decode {middle('decode'):.3f} cores; "
        f"Opus: encode {middle('opus_encode'):.3f}, decode {middle('opus_decode'):.3f}; "
        f"{middle('kbps'):.0f} kbit/s, {middle('fps_sent'):.1f} pictures/s"
    )


def print_table(
    codec: list[dict[str, float]],
    call: list[dict[str, float]],
    send: list[dict[str, float]],
    receive: list[dict[str, float]],
) -> None:
    """The processes beside the codecs."""
    encode = [entry["encode"] + entry["opus_encode"] for entry in codec]
    decode = [entry["decode"] + entry["opus_decode"] for entry in codec]
    both = [one + other for one, other in zip(encode, decode, strict=True)]
    median = statistics.median
    print("| process | cores | codecs alone | ratio | per round | kbit/s | fps out | fps in |")
    print("|---|---|---|---|---|---|---|---|")
    for name, figures, alone in (
        ("sends and receives", call, both),
        ("sends", send, encode),
        ("receives", receive, decode),
    ):
        cores = [entry["cores"] for entry in figures]
        ratios = [one / other for one, other in zip(cores, alone, strict=True)]
        print(
            f"| {name} | {median(cores):.3f} | {median(alone):.3f} | {median(ratios):.2f} "
            f"| {', '.join(f'{ratio:.2f}' for ratio in ratios)} "
            f"| {median(e['kbps'] for e in figures):.0f} "
            f"| {median(e['fps_sent'] for e in figures):.1f} "
            f"| {median(e['fps_received'] for e in figures):.1f} |"
        )
    print(f"aim: a process that sends and receives needs at most {AIM} times the codecs alone")


if __name__ == "__main__":
    main()
