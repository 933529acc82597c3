"""What is to be merged and how, and which number types follow from it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from loretta_cli.artifacts.merging.verifying import Kind
from loretta_cli.artifacts.run_folder import RunFolder
from loretta_cli.errors import ConfigError
from loretta_cli.models.loading import choose_dtype
from loretta_cli.planning.plan import Plan


@dataclass(frozen=True, slots=True)
class MergeRequest:
    """What is to be merged, and how.

    Args:
        run: A finished run.
        output: The folder to write.
        data: Rows to compare on, if the run's own are not at hand.
        dequantize: Merge into the numbers that the weights of a quantised base stand for. The model written
            is not quantised, and it is compared with such a base and the adapter.
        dtype: Number type of the weights written; None keeps that of the run, or else of the base's files.
        verify: How to compare; None chooses by the memory there is.
    """

    run: RunFolder
    output: Path
    data: str | None = None
    dequantize: bool = False
    dtype: torch.dtype | None = None
    verify: Kind | None = None


def asked_dtype(request: MergeRequest, plan: Plan) -> torch.dtype | None:
    """The number type to write that the request or else the run names; None if neither does."""
    if request.dtype is not None or plan.config.model.dtype == "auto":
        return request.dtype
    asked: torch.dtype = getattr(torch, plan.config.model.dtype)
    return asked


def run_dtype(plan: Plan) -> torch.dtype:
    """The number type in which the base model of a run is loaded on this machine."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return choose_dtype(plan.config.model.dtype, plan.model_config, device)


def check_dequantize(kind: str | None, *, asked: bool) -> None:
    """Refuse to merge into quantised weights, and to dequantise others.

    Args:
        kind: What the base model is quantised to, or None.
        asked: Whether it is to be dequantised.

    Raises:
        ConfigError: With what to do instead.
    """
    if kind is not None and not asked:
        raise ConfigError(
            f"The base model of this run is quantised ({kind}): its weights cannot take up the update "
            "without being rounded anew, which would change the adapter's effect.",
            hint="Add --dequantize: the update is added to the numbers that the quantised weights stand for, "
            "and the model written is not quantised.",
        )
    if kind is None and asked:
        raise ConfigError(
            "--dequantize is for runs on a quantised base, and the base model of this run is not quantised.",
            hint="Merge without --dequantize.",
        )
