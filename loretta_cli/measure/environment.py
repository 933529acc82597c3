"""What a run ran on: versions, device, command line. No telemetry: it goes into the run folder only."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from typing import Any

from loretta_cli.credentials import without_credentials
from loretta_cli.processes import processes

PACKAGES = (
    *("loretta-cli", "torch", "transformers", "peft", "accelerate", "bitsandbytes"),
    *("datasets", "tensorly", "numpy"),
)


def describe_environment() -> dict[str, Any]:
    """Versions of Python and packages, the platform, the devices, the processes, and the command line."""
    import torch

    return {
        "argv": [without_credentials(argument) for argument in sys.argv[1:]],
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: version_of(name) for name in PACKAGES},
        "cpus": os.cpu_count(),
        "processes": processes().count,
        "threads": torch.get_num_threads(),
        "gpus": [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())],
    }


def version_of(package: str) -> str | None:
    """The version of a package, or None where it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
