"""Timing contenders in turns, ratios of pairs, and peak memory.

Time: every round runs each contender once, in an order that is rotated from round to round; a ratio is
taken inside a round, and what is reported are the quartiles of these ratios. A machine that is busy for
a second slows both halves of a pair, or spoils one ratio of many. Two clocks are read: the wall clock,
and the CPU time of this process, which does not count the time that other processes had the core.

Memory: the bytes of tensors alive at the worst moment of a step, which is what CUDA's allocator
counts. On a CPU torch's profiler reports every allocation; resident memory (``ru_maxrss``) would
include interpreter and libraries, never falls, and so cannot tell contenders in one process apart.
"""

from __future__ import annotations

import gc
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

WARM_UP_ROUNDS = 2


@dataclass(frozen=True, slots=True)
class Quartiles:
    """Median of some numbers with the quartiles around it."""

    first: float
    median: float
    third: float


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds of one contender, round by round."""

    wall: list[float]
    cpu: list[float]


def take_turns(
    steps: Mapping[str, Callable[[], None]], rounds: int, device: torch.device
) -> dict[str, Times]:
    """Run every step once a round.

    Args:
        steps: Name to what is timed.
        rounds: Timed rounds; :data:`WARM_UP_ROUNDS` more come first and are not counted.
        device: Waited for before a clock is read.

    Returns:
        The times by name, each list as long as ``rounds``.
    """
    times = {name: Times([], []) for name in steps}
    names = list(steps)
    gc.collect()
    gc.disable()
    try:
        for turn in range(-WARM_UP_ROUNDS, rounds):
            shift = turn % len(names)
            for name in names[shift:] + names[:shift]:
                wall, cpu = _clocks(device)
                steps[name]()
                wall_after, cpu_after = _clocks(device)
                if turn >= 0:
                    times[name].wall.append(wall_after - wall)
                    times[name].cpu.append(cpu_after - cpu)
    finally:
        gc.enable()
    return times


def quartiles(values: Sequence[float]) -> Quartiles:
    """Median and quartiles; of a single value, the value."""
    if len(values) == 1:
        return Quartiles(values[0], values[0], values[0])
    first, median, third = statistics.quantiles(values, n=4, method="inclusive")
    return Quartiles(first, median, third)


def paired_ratios(numerators: Sequence[float], denominators: Sequence[float]) -> Quartiles:
    """Quartiles of the ratios of pairs: ``numerators[i] / denominators[i]``."""
    return quartiles([one / other for one, other in zip(numerators, denominators, strict=True)])


def peak_rise_bytes(step: Callable[[], None], device: torch.device) -> int:
    """How far the bytes of live tensors rise above those alive before, at the worst moment of a step."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        step()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        step()
    return highest_sum(_allocations(profiler))


def highest_sum(changes: Iterable[int]) -> int:
    """The highest running sum of allocations (positive) and releases (negative), at least 0."""
    alive = highest = 0
    for change in changes:
        alive += change
        highest = max(highest, alive)
    return highest


def _allocations(profiler: profile) -> list[int]:
    """Bytes of every allocation and release on the CPU, in the order of time."""
    handle, name = tempfile.mkstemp(suffix=".json")
    os.close(handle)
    trace = Path(name)
    try:
        profiler.export_chrome_trace(name)
        events = json.loads(trace.read_text(encoding="utf-8"))["traceEvents"]
    finally:
        trace.unlink()
    changes = [(event["ts"], event["args"]["Bytes"]) for event in events if event.get("name") == "[memory]"]
    return [change for _, change in sorted(changes, key=lambda pair: pair[0])]


def _clocks(device: torch.device) -> tuple[float, float]:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter(), time.process_time()
