"""Settings of every test: no hub, one thread, quiet libraries, warnings of others not ours to fix."""

from __future__ import annotations

import gc
import os

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"
os.environ.setdefault("OMP_NUM_THREADS", "1")

THIRD_PARTY_WARNINGS = (
    # PEFT 0.21 asks transformers 5.23 for an attribute that it renamed.
    "ignore:`is_gradient_checkpointing` is deprecated:FutureWarning",
)


def pytest_configure(config: pytest.Config) -> None:
    """Let through the warnings of libraries that the tests cannot avoid; all others are errors."""
    for line in THIRD_PARTY_WARNINGS:
        config.addinivalue_line("filterwarnings", line)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take minutes: at the end, one process would be left alone with them."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="module")
def _what_stays_is_not_searched_for_garbage() -> None:
    """The libraries are a million objects, and every training run ends with a search through them all."""
    gc.collect()
    gc.freeze()
