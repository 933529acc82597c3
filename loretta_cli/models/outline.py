"""The modules of a model that hold parameters, written down from its config alone: no torch, no weights.

Every family has an ``outline`` function; the tests hold it equal, name for name and number for number, to
the model that transformers builds on the meta device. It is what lets ``count-params`` answer in a blink.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Form = Literal["classification", "prompt", "masked", "generation"]
Facts = Mapping[str, Any]
"""The config of an architecture: transformers' names of the settings, and every one that a count needs."""


@dataclass(frozen=True, slots=True)
class ModuleOutline:
    """One module with parameters of its own.

    Args:
        name: Its full name in the transformers model.
        kind: ``linear`` is what an adapter can stand at; a tied matrix is left out, as it counts once.
        parameters: Numbers that it holds, its bias included.
        in_features: Input width of a linear layer, else 0.
        out_features: Output width of a linear layer, else 0.
        biases: How many of the parameters are biases.
    """

    name: str
    kind: Literal["linear", "norm", "embedding", "other"]
    parameters: int
    in_features: int = 0
    out_features: int = 0
    biases: int = 0


OutlineFunction = Callable[[Facts, Form, int], Iterator[ModuleOutline]]
"""``outline(facts, form, labels)``: the modules of the model with that head, in the model's order."""


def linear(name: str, in_features: int, out_features: int, *, bias: bool = True) -> ModuleOutline:
    """A linear layer of ``in x out``, with a bias or without."""
    biases = out_features if bias else 0
    return ModuleOutline(
        name, "linear", in_features * out_features + biases, in_features, out_features, biases
    )


def tied_linear(name: str, in_features: int, out_features: int, *, bias: bool = False) -> ModuleOutline:
    """An output layer whose weight is the embedding's: it adds no numbers but those of its bias."""
    biases = out_features if bias else 0
    return ModuleOutline(name, "linear", biases, in_features, out_features, biases)


def norm(name: str, size: int, *, bias: bool = True) -> ModuleOutline:
    """A LayerNorm of ``size``, or, without bias, an RMSNorm."""
    biases = size if bias else 0
    return ModuleOutline(name, "norm", size + biases, biases=biases)


def embedding(name: str, rows: int, size: int) -> ModuleOutline:
    """A table of ``rows`` vectors of ``size``."""
    return ModuleOutline(name, "embedding", rows * size)


def other(name: str, parameters: int, *, biases: int = 0) -> ModuleOutline:
    """Parameters of a module that is none of the above, ``biases`` of them biases."""
    return ModuleOutline(name, "other", parameters, biases=biases)
