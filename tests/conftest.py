"""Settings of every test: no hub, one thread, quiet libraries, warnings of others not ours to fix."""

from __future__ import annotations

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


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)
