"""What PEFT's LoRA does and tensor trains do not: refused in words, where PEFT would ignore the request."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from loretta_cli.errors import ModelError

PER_ROW_ARGUMENTS = ("adapter_names", "alora_offsets")
"""Arguments of ``forward`` and ``generate`` that PEFT takes away from the model and gives to the tuner."""


class UnsupportedFeatureError(ModelError, ValueError):
    """A feature of PEFT that an adapter of this method cannot have. A ``ValueError`` too, as PEFT's own."""


class UnsupportedFeatures:
    """Mixed into a tuner before PEFT's base class."""

    weighted_sum_refusal: str

    @contextmanager
    def _enable_peft_forward_hooks(self, *args: Any, **kwargs: Any) -> Iterator[None]:
        # PEFT enters this around every forward and generate, with their arguments.
        for name in PER_ROW_ARGUMENTS:
            if kwargs.get(name) is not None:
                raise UnsupportedFeatureError(
                    f"{name} was given, but adapters of this kind act on all rows of a batch alike. Call the "
                    "model once for each adapter, after model.set_adapter(name)."
                )
        yield

    def add_weighted_adapter(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refused.

        Raises:
            UnsupportedFeatureError: Always, with the reason and the way around.
        """
        raise UnsupportedFeatureError(self.weighted_sum_refusal)
