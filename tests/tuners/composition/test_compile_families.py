"""torch.compile on every family: the adapted model is one graph and gives the logits of eager mode.

A compilation takes seconds. CI runs a part; all: ``pytest -m "slow or exhaustive"`` with this file.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
import torch

from tests.tiny_models import FAMILIES, OTHERS
from tests.tuners.adapters import CONFIGS, adapted, logits, train

# torch says this of itself while it traces BLOOM's activation.
pytestmark = pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
UNLIKE = ("bert", "bloom", "deberta", "falcon", "gemma3", "gpt2", "llama", "modernbert", "t5")
"""The families that CI takes: no two of them have one kind of attention or positions."""


@pytest.fixture(autouse=True)
def _fresh_compiler() -> Iterator[None]:
    torch.compiler.reset()
    yield
    torch.compiler.reset()


# Every family with one of the two methods, in turn; both tuners stand at linear layers in the same way.
CASES = [
    pytest.param(family, method, marks=pytest.mark.slow if family in UNLIKE else pytest.mark.exhaustive)
    for family, method in zip([*FAMILIES, *OTHERS], itertools.cycle(CONFIGS))
]


@pytest.mark.parametrize(("family", "method"), CASES)
def test_an_adapted_model_of_exhaustive_compiles_as_one_graph(family: str, method: str) -> None:
    model = adapted(family, method, "standard")
    train(model, family, steps=1)
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)

    torch.testing.assert_close(logits(compiled), logits(model), rtol=0, atol=1e-5)
