"""What the tests of the compared methods share: a tiny model with one of them, made as ``train`` makes it."""

from __future__ import annotations

from typing import Any

import torch

from loretta_cli.config import AdapterSettings
from loretta_cli.tuners.settings import make_peft_config
from loretta_cli.tuners.targets import insert_adapter
from tests.tiny_models import TASK_TYPES, tiny_model


def with_method(family: str, method: str, *, model: Any = None, **settings: Any) -> Any:
    """A tiny model with a new adapter of a method, in eval mode, the same numbers every time.

    Args:
        family: Of the tiny model.
        method: A name of ``loretta train --method``.
        model: The base model; a fresh tiny one if None.
        settings: Further adapter settings.
    """
    base = tiny_model(family) if model is None else model
    chosen = AdapterSettings.model_validate({"method": method, **settings})
    config = make_peft_config(chosen, task_type=TASK_TYPES[family], model_type=base.config.model_type)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return insert_adapter(base, config).eval()
