"""torch.compile on every family: the adapted model is one graph and gives the logits of eager mode."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
import torch

from tests.tiny_models import FAMILIES, OTHERS
from tests.tuners.adapters import CONFIGS, adapted, logits, train

# A compilation takes seconds: CI runs them all.
pytestmark = [
    pytest.mark.slow,
    # torch says this of itself while it traces BLOOM's activation.
    pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning"),
]


@pytest.fixture(autouse=True)
def _fresh_compiler() -> Iterator[None]:
    torch.compiler.reset()
    yield
    torch.compiler.reset()


# Every family with one of the two methods, in turn; both tuners stand at linear layers in the same way.
CASES = list(zip([*FAMILIES, *OTHERS], itertools.cycle(CONFIGS)))


@pytest.mark.parametrize(("family", "method"), CASES)
def test_an_adapted_model_of_every_family_compiles_as_one_graph(family: str, method: str) -> None:
    model = adapted(family, method, "standard")
    train(model, family, steps=1)
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)

    torch.testing.assert_close(logits(compiled), logits(model), rtol=0, atol=1e-5)
