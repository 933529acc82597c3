"""The PEFT config of training chosen parameters."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from peft import PeftConfig
from peft.utils.constants import DUMMY_TARGET_MODULES

from loretta_cli.errors import ConfigError
from loretta_cli.tuners.peft_types import LorettaPeftType

Parameters = Literal["all", "biases", "none"]


@dataclass
class SelectedConfig(PeftConfig):
    """Which parameters of the base model train.

    Args:
        parameters: ``all``, every bias (``biases``), or ``none`` but those of the modules below.
        modules: Full names of modules that train whole, such as a classification head.
        in_place: Train the base model's own numbers instead of a copy of them, for training that must not
            hold a second copy. It says how a model in memory is trained, and is not saved.
    """

    parameters: Parameters = "all"
    modules: list[str] = field(default_factory=list)
    in_place: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()  # type: ignore[no-untyped-call]  # PEFT leaves it without annotations
        self.peft_type = LorettaPeftType.LORETTA_SELECTED
        if self.parameters not in get_args(Parameters):
            raise ConfigError(
                f"parameters is {self.parameters!r}; expected one of {', '.join(get_args(Parameters))}."
            )

    def to_dict(self) -> dict[str, Any]:
        """What is saved of the config."""
        saved: dict[str, Any] = super().to_dict()
        del saved["in_place"]
        return saved

    @property
    def target_modules(self) -> str:
        """PEFT's word for an adapter that replaces no module: parameters are chosen, not modules."""
        return DUMMY_TARGET_MODULES

    def is_whole(self, module_name: str) -> bool:
        """Whether a module is one of those that train whole, or lies in one."""
        return any(module_name == name or module_name.startswith(f"{name}.") for name in self.modules)

    def selects(self, module_name: str, tensor_name: str) -> bool:
        """Whether a parameter trains.

        Args:
            module_name: Full name of the module that owns it.
            tensor_name: Its name there. A bias ends in ``bias``: DeBERTa has a ``q_bias``.
        """
        is_bias = self.parameters == "biases" and tensor_name.endswith("bias")
        return self.parameters == "all" or is_bias or self.is_whole(module_name)
