"""What is changed in PEFT's tests while they run, beside their rows and models. Nothing else is.

* Tests of merging are skipped for adp, which cannot merge (it says so in its error, which our own tests
  check). PEFT does the same for its own methods that cannot, in ``_skip_if_merging_not_supported``.
* ``_skip_if_conv1d_not_supported``, a list of the methods that PEFT knows to adapt ``Conv1D``, skips nothing
  of ours: both adapt it.
* ``check_beft_config``, which is meant for BEFT and by a slip skips the merge tests of Llama and Gemma for
  every method, does nothing to ours.
* A learning rate: two tests train a small MLP with plain SGD at 0.5 on inputs up to 90. That overflows for
  many methods, and the tests hold lists of those with the rate that each needs. For ours, where both layers
  of the MLP train, it overflows too; so for the MLP it is 0.01, which one list has for VB-LoRA, RandLora,
  UniLoRA and OSF.
* Every model name counts as fetched, so that ``hub_online_once`` never goes online.
* ``diffusers``, which PEFT's tests import for a check of type, is an empty stand-in where it is missing.
"""

from __future__ import annotations

import contextlib
import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any
from unittest import mock

import pytest
import torch

from tests.peft_suite.rows import METHODS, STOCK
from tests.peft_suite.source import PACKAGE

CANNOT_MERGE = METHODS["adp"]
RATE = 0.01
AT_THAT_RATE = {"test_parameters_after_loading_model", "test_only_params_are_updated"}
RATE_MODEL = "MLP"


class _EveryModelWasFetched(dict[str, int]):
    """For PEFT's ``hub_online_once``: it goes offline for names that it has seen."""

    def __contains__(self, key: object) -> bool:
        return True

    def __missing__(self, key: str) -> int:
        return 1


def stand_in_for_diffusers() -> None:
    """Let PEFT's tests import ``diffusers`` where it is not installed."""
    if importlib.util.find_spec("diffusers") is None:
        module: Any = ModuleType("diffusers")
        module.__spec__ = importlib.machinery.ModuleSpec("diffusers", loader=None)
        module.StableDiffusionPipeline = type("StableDiffusionPipeline", (), {})
        sys.modules["diffusers"] = module


def change_helpers() -> None:
    """Put the changed helpers into every module of PEFT's tests; they import them by name."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] != PACKAGE:
            continue
        for helper, change in _CHANGES.items():
            if hasattr(module, helper):
                setattr(module, helper, change(getattr(module, helper)))


def _merging_of_adp_too(skip: Callable[..., None]) -> Callable[..., None]:
    def changed(model_id: str, config_cls: type, config_kwargs: dict[str, Any]) -> None:
        if config_cls is CANNOT_MERGE:
            pytest.skip("An adp adapter cannot be merged.")
        skip(model_id, config_cls, config_kwargs)

    return changed


def _for_stock_only(helper: Callable[..., None]) -> Callable[..., None]:
    def changed(*arguments: Any) -> None:
        if METHODS[STOCK] in arguments:
            helper(*arguments)

    return changed


_CHANGES: dict[str, Callable[[Any], Any]] = {
    "_HUB_MODEL_ACCESSES": lambda accesses: _EveryModelWasFetched(),
    "_skip_if_merging_not_supported": _merging_of_adp_too,
    "_skip_if_conv1d_not_supported": _for_stock_only,
    "check_beft_config": _for_stock_only,
}


def learning_rate(test: str, parameters: dict[str, Any]) -> contextlib.AbstractContextManager[Any]:
    """A context in which SGD has the lower rate, if this test of one of our methods has it.

    Args:
        test: Name of the test function.
        parameters: Of the row.
    """
    is_stock = parameters.get("config_cls") is METHODS[STOCK]
    if test not in AT_THAT_RATE or is_stock or parameters.get("model_id") != RATE_MODEL:
        return contextlib.nullcontext()
    sgd = torch.optim.SGD

    def slower(parameters: Iterable[torch.Tensor], lr: float) -> torch.optim.Optimizer:
        return sgd(parameters, lr=min(lr, RATE))

    return mock.patch.object(torch.optim, "SGD", slower)
