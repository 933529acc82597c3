"""What the PEFT configs of both tuners have in common, and how their gaps are filled from a preset."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast, get_args

from peft import PeftConfig, TaskType

from loretta_cli.errors import ConfigError
from loretta_cli.models.families import Family, family_of
from loretta_cli.presets import HeadKind, Method, Preset, frozen_head_modules, preset_for
from loretta_cli.tt import ModeShape, choose_mode_shape
from loretta_cli.tuners.head import check_head

ALL_LINEAR = "all-linear"
"""``target_modules`` that stands for every linear layer but the output of the model."""


@dataclass
class TensorTrainConfig(PeftConfig):
    """Fields shared by :class:`LorettaAdpConfig` and :class:`LorettaRepConfig`.

    ``None`` means "from the preset"; an adapter that was built has no ``None`` left where it matters,
    so a saved config says exactly what the adapter is.

    Args:
        preset: ``auto`` (``paper`` where the paper has the model, else ``standard``), ``paper``,
            ``standard`` or ``lean``.
        tt_rank: TT rank of both trains: a number, or a list of inner ranks.
        alpha: The adapter's output is scaled by ``alpha / bottleneck``.
        dropout: Probability of dropout before the first train.
        mode_shapes: ``{"768x64": [8, 8, 12, 8, 8]}``: modes for matrices of a size, in x out.
        target_modules: Names (suffixes) or a regular expression of the linear layers to adapt, or
            ``"all-linear"``.
        exclude_modules: Names or a regular expression of layers to leave alone.
        modules_to_save: Further modules to train and save whole.
        frozen_modules_to_save: Modules to save whole without training them.
        train_norms: Train and save the family's normalisation layers.
        head: For sequence classification: ``tt``, ``dense`` or ``frozen``.
        train_output: With ``head="tt"``: whether the output layer trains.
        tt_head: Name of the dense layer that the TT head replaced; filled when the adapter is built.
        layers_to_transform: Indices of the blocks to adapt.
        layers_pattern: Name of the list of blocks, where it cannot be guessed.
        bias: PEFT's setting for the biases of the base model: ``none``, ``all`` or ``<type>_only``.
        init_weights: True starts as the identity; False is random, for tests.
    """

    preset: str = "auto"
    tt_rank: int | list[int] | None = None
    alpha: float | None = None
    dropout: float | None = None
    mode_shapes: dict[str, list[int]] | None = None
    target_modules: list[str] | set[str] | str | None = None
    exclude_modules: list[str] | set[str] | str | None = None
    modules_to_save: list[str] | None = None
    frozen_modules_to_save: list[str] | None = None
    train_norms: bool | None = None
    head: str | None = None
    train_output: bool | None = None
    tt_head: str | None = None
    layers_to_transform: list[int] | int | None = None
    layers_pattern: list[str] | str | None = None
    bias: str = "none"
    init_weights: bool | str = field(default=True)

    def __post_init__(self) -> None:
        super().__post_init__()  # type: ignore[no-untyped-call]  # PEFT leaves it without annotations
        for name in ("target_modules", "exclude_modules"):
            value = getattr(self, name)
            if isinstance(value, list):
                setattr(self, name, set(value))
        if self.head is not None and self.head not in get_args(HeadKind):
            raise ConfigError(f"head is {self.head!r}; expected one of {', '.join(get_args(HeadKind))}.")
        if self.layers_pattern is not None and self.layers_to_transform is None:
            raise ConfigError("layers_pattern is given without layers_to_transform.")
        is_pattern = isinstance(self.target_modules, str) and self.target_modules.lower() != ALL_LINEAR
        if is_pattern and self.layers_to_transform is not None:
            # PEFT would adapt all layers that the expression matches, and say nothing.
            raise ConfigError(
                "layers_to_transform needs target_modules as a list of names, found the regular expression "
                f"{self.target_modules!r}.",
                hint="Name the modules, or put the layers into the regular expression.",
            )

    @property
    def method(self) -> Method:
        """``adp`` or ``rep``."""
        raise AttributeError("only the two concrete configs have a method")

    def mode_shape(self, in_features: int, out_features: int) -> ModeShape:
        """The modes of an ``in x out`` matrix: those given in ``mode_shapes``, else the chosen ones."""
        given = (self.mode_shapes or {}).get(f"{in_features}x{out_features}")
        if given is not None:
            return ModeShape(in_features, out_features, tuple(given))
        return choose_mode_shape(in_features, out_features)

    def complete(self, model_config: Mapping[str, Any], module_names: Iterable[str]) -> None:
        """Fill every gap from the preset and the model's family, in place; doing it twice changes nothing.

        Args:
            model_config: The base model's config as a mapping.
            module_names: Names of all its modules.

        Raises:
            ConfigError: If norms are asked of a model whose norms are not known, or the head cannot be.
        """
        family = family_of(model_config.get("model_type"))
        preset = preset_for(self.method, self.preset, model_config)
        self._fill(preset, family)
        if self.train_norms:
            self._save_norms(family)
        if self.task_type == TaskType.SEQ_CLS and family is not None:
            self._settle_head(preset, family, set(module_names))
        elif self.head is not None:
            raise ConfigError(
                f"head={self.head} is set, but heads are known for sequence classification with a known "
                "model family only.",
                hint="Leave adapter.head out; name modules to train whole in modules_to_save.",
            )

    def _fill(self, preset: Preset, family: Family | None) -> None:
        self.preset = preset.name
        for name in ("tt_rank", "dropout", "train_norms"):
            if getattr(self, name) is None:
                setattr(self, name, getattr(preset, name))

    def _save_norms(self, family: Family | None) -> None:
        if family is None:
            raise ConfigError(
                "train_norms is set, but the normalisation layers of this model family are not known.",
                hint="Set adapter.train_norms=false, or name the layers in modules_to_save.",
            )
        self.modules_to_save = _union(self.modules_to_save, family.norms)

    def _settle_head(self, preset: Preset, family: Family, module_names: set[str]) -> None:
        if not all(module in module_names for module in family.head.modules):
            return
        if self.head is None:
            self.head = preset.head
        if self.train_output is None:
            self.train_output = preset.train_output
        kind = cast("HeadKind", self.head)
        check_head(family.head, kind, family.name)
        self.tt_head = family.head.dense if kind == "tt" else None
        frozen = frozen_head_modules(family.head, kind, preset=preset.name, train_output=self.train_output)
        self.modules_to_save = _union(self.modules_to_save, family.head.modules)
        self.frozen_modules_to_save = _union(self.frozen_modules_to_save, frozen)


def _union(first: Iterable[str] | None, second: Iterable[str]) -> list[str]:
    """Both lists in order, each name once."""
    return list(dict.fromkeys([*(first or ()), *second]))
