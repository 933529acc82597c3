"""Everything about an installation that a bug report should say; of secrets nothing but that they are set."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from loretta_cli.measure.installed import extras, packages
from loretta_cli.measure.machine import free_ram
from loretta_cli.measure.surroundings import describe_hub, describe_variables, in_home

_CPUS = Path("/proc/cpuinfo")


def describe_installation(environ: Mapping[str, str], version: str) -> dict[str, Any]:
    """Versions, machine, extras, variables and cache; no part of it fails because another does.

    Args:
        environ: The environment, as it was when the command began.
        version: Of this package.
    """
    memory = free_ram()
    return {
        "loretta": {"version": version, "folder": in_home(str(Path(__file__).resolve().parents[1]))},
        "python": {
            "version": platform.python_version(),
            "implementation": platform.python_implementation(),
            "prefix": in_home(sys.prefix),
        },
        "platform": platform.platform(),
        "cpu": {"name": _name_of_cpu(), "count": os.cpu_count(), "usable": _usable_cpus()},
        "memory": {"name": memory.name, "free_bytes": memory.free, "total_bytes": memory.total},
        "torch": _torch(),
        "packages": {
            package.name: {"version": package.version, "needs": package.needs, "fits": package.fits}
            for package in packages()
            if package.version is not None or not package.is_optional
        },
        "extras": [asdict(extra) for extra in extras()],
        "variables": describe_variables(environ),
        "hub": describe_hub(environ),
    }


def _torch() -> dict[str, Any]:
    """What torch sees: its build, threads and GPUs; where it cannot be imported, why."""
    try:
        import torch

        gpus = []
        for index in range(torch.cuda.device_count()):
            of_gpu = torch.cuda.get_device_properties(index)
            gpus.append(
                {
                    "name": of_gpu.name,
                    "total_bytes": of_gpu.total_memory,
                    "free_bytes": torch.cuda.mem_get_info(index)[0],
                    "capability": f"{of_gpu.major}.{of_gpu.minor}",
                }
            )
        return {
            "error": None,
            "cuda": torch.version.cuda,
            "hip": torch.version.hip,
            "threads": torch.get_num_threads(),
            "gpus": gpus,
        }
    except Exception as error:  # a broken installation of torch, or of a driver, is what is looked for
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        return {"error": in_home(reason), "cuda": None, "hip": None, "threads": None, "gpus": []}


def _name_of_cpu() -> str:
    try:
        lines = _CPUS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


def _usable_cpus() -> int | None:
    """How many this process may use, where the system says so."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
