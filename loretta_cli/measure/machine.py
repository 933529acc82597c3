"""What this machine has free: memory of the GPU or, within the limits of its control groups, RAM; disk."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_GROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class FreeMemory:
    """Memory that a training could take.

    Args:
        device: ``cuda`` or ``cpu``.
        name: What has it, for the eye.
        free: Bytes that are free now.
        total: Bytes that there are at all.
        program: Bytes that this process holds with its libraries. They are not free any more, and a training
            holds as many, so what it takes beside them is to be held against ``free``.
    """

    device: str
    name: str
    free: int
    total: int
    program: int = 0

    def as_json(self) -> dict[str, Any]:
        """All of it."""
        return {
            "device": self.device,
            "name": self.name,
            "free": self.free,
            "total": self.total,
            "program": self.program,
        }


def free_memory() -> FreeMemory:
    """Of the GPU that a training would be on, else of the RAM."""
    import torch

    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        return FreeMemory("cuda", torch.cuda.get_device_name(), free, total)
    return free_ram()


def free_ram() -> FreeMemory:
    """Of the RAM, within the limits of this process's control groups and of its address space."""
    import psutil  # type: ignore[import-untyped]

    memory = psutil.virtual_memory()
    free, total, name = memory.available, memory.total, "RAM"
    limit, used = group_limit(_GROUPS)
    if limit is not None and limit < total:
        free, total, name = min(free, max(0, limit - used)), limit, "RAM of this container"
    held = psutil.Process().memory_info()
    limit = address_limit()
    if limit is not None and limit - held.vms < free:
        free, total, name = max(0, limit - held.vms), limit, "address space of this process"
    return FreeMemory("cpu", name, free, total, held.rss)


def address_limit() -> int | None:
    """Bytes that this process may address (``ulimit -v``); None where there is no such limit."""
    try:
        import resource
    except ImportError:  # Windows has no such limits
        return None
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if limit == resource.RLIM_INFINITY else limit


def group_limit(root: Path, membership: Path = Path("/proc/self/cgroup")) -> tuple[int | None, int]:
    """The tightest memory limit of the control groups around this process, and what is used of it.

    Args:
        root: Where the groups are mounted.
        membership: The file that says in which this process is.
    """
    try:
        lines = membership.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return None, 0
    found: list[tuple[int, int]] = []
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        is_second = not controllers
        if not is_second and "memory" not in controllers.split(","):
            continue
        base = root if is_second else root / "memory"
        names = (
            ("memory.max", "memory.current")
            if is_second
            else (
                "memory.limit_in_bytes",
                "memory.usage_in_bytes",
            )
        )
        inner = base / path.lstrip("/")
        for folder in (inner, *inner.parents):
            limit = _number(folder / names[0])
            if limit is not None:
                cache = _reclaimable(folder)
                found.append((limit, max(0, (_number(folder / names[1]) or 0) - cache)))
            if folder == base:
                break
    return min(found, key=lambda pair: pair[0] - pair[1]) if found else (None, 0)


def _number(file: Path) -> int | None:
    try:
        text = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return int(text) if text.isdigit() else None


def _reclaimable(folder: Path) -> int:
    """Bytes of files in memory, which the kernel gives up when memory is short."""
    try:
        lines = (folder / "memory.stat").read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return 0
    stats = dict(line.split()[:2] for line in lines if len(line.split()) >= 2)
    names = ("total_inactive_file", "inactive_file")
    return next((int(stats[name]) for name in names if name in stats), 0)


def free_disk(folder: Path) -> int:
    """Free bytes of the file system that a folder, which need not exist, would be on."""
    place = Path(os.path.abspath(folder.expanduser()))
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free
