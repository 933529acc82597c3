"""``loretta count-params``: what each method would train, by formula or on a model without weights.

No torch at the top: a well-known name with plain settings is answered without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from loretta_cli.config import AdapterSettings, Config
from loretta_cli.errors import ConfigError, LorettaError
from loretta_cli.measure.closed_form import count_in_closed_form
from loretta_cli.measure.parameters import FLOAT32_BYTES, ParameterCount
from loretta_cli.measure.published import PUBLISHED, PublishedCount
from loretta_cli.models.bundled import find_architecture
from loretta_cli.models.families import family_of
from loretta_cli.models.outline import Facts, Form
from loretta_cli.models.source import find_model
from loretta_cli.presets import preset_for

FLOPS_TOKENS = 128
"""Length of the one row whose training step ``--compare`` counts the FLOPs of."""


@dataclass(frozen=True, slots=True)
class MethodCount:
    """The count of one method on one model.

    Args:
        model: As it was asked for.
        method: The method.
        count: What it trains.
        preset: The preset that was taken, for adp and rep.
        reason: Why that one.
        published: The count that the paper prints, where it prints one.
        flops: Of a training step on one row, where that was asked for and could be counted.
    """

    model: str
    method: str
    count: ParameterCount
    preset: str | None = None
    reason: str | None = None
    published: PublishedCount | None = None
    flops: int | None = None

    def as_json(self, *, with_shapes: bool) -> dict[str, Any]:
        """The fields of the contract, the preset, and on request the shapes."""
        document = {"model": self.model, "method": self.method, **self.count.as_json(), "preset": self.preset}
        if not with_shapes:
            document.pop("shapes")
        return document

    def comparison(self) -> dict[str, Any]:
        """The further fields of ``--compare``."""
        return {
            "optimizer_bytes": self.optimizer_bytes,
            "flops_per_step": self.flops,
            "published": None if self.published is None else asdict(self.published),
        }

    @property
    def optimizer_bytes(self) -> int:
        """State of AdamW: two fp32 moments of every number that trains."""
        return 2 * FLOAT32_BYTES * self.count.trainable


def count_methods(
    config: Config, methods: Sequence[str], *, asked: set[str], labels: int | None, flops: bool = False
) -> list[MethodCount]:
    """Count several methods.

    Args:
        config: Model and adapter settings.
        methods: Names of methods, of those that are only counted too.
        asked: Those that the adapter settings are meant for; others (of ``--compare``) have their own, and
            are left out where the model has no place for them.
        labels: Labels of a classification head; those of the config, else 2.
        flops: Count the FLOPs of a training step too; that needs torch.

    Raises:
        LorettaError: If the model cannot be read or the settings do not fit.
    """
    if labels is not None:
        _check_labels(config)
    number = labels or len(config.data.labels or ()) or 2
    of_each = {method: _settings(config, method, asked) for method in methods}
    counts = _by_formula(config, of_each, asked, number) or _without_weights(config, of_each, asked, number)
    if not flops:
        return counts
    from loretta_cli.measure.flops import flops_per_step

    model_config, form = _model(config)

    def with_flops(entry: MethodCount) -> MethodCount:
        settings = of_each[entry.method]
        number_of_flops = flops_per_step(
            entry.method, settings, model_config, form=form, labels=number, tokens=FLOPS_TOKENS
        )
        return replace(entry, flops=number_of_flops)

    return [with_flops(entry) for entry in counts]


def _check_labels(config: Config) -> None:
    """Refuse a number of labels for a model that is counted without a classification head."""
    known = None if config.model.revision else find_architecture(config.model.name or "")
    family = None if known is None else family_of(known[1].model_type)
    asked = config.task.form
    form = (family.form if asked == "auto" else asked) if family is not None else _model(config)[1]
    if form != "classification":
        raise ConfigError(
            f"--labels is for a classification head, and {config.model.name} is counted as a language model.",
            hint="Leave --labels out, or add --set task.form=classification.",
        )


def _settings(config: Config, method: str, asked: set[str]) -> AdapterSettings:
    settings = config.adapter if method in asked else AdapterSettings()
    return AdapterSettings.model_validate({**settings.model_dump(exclude_unset=True), "method": method})


def _by_formula(
    config: Config, methods: dict[str, AdapterSettings], asked: set[str], labels: int
) -> list[MethodCount] | None:
    """Count a well-known architecture; None if a method that was asked for needs a model to look at."""
    name = config.model.name or ""
    source = find_model(name)
    known = None if source.is_local or config.model.revision else find_architecture(name)
    family = None if known is None else family_of(known[1].model_type)
    if known is None or family is None:
        return None
    facts = {"model_type": known[1].model_type, **known[1].settings}
    form = family.form if config.task.form == "auto" else config.task.form
    counts = []
    for method, settings in methods.items():
        count = count_in_closed_form(method, settings, facts, form=form, labels=labels)
        if count is not None:
            counts.append(_counted(name, method, settings, count, facts))
        elif method in asked:
            return None
    return counts


def _without_weights(
    config: Config, methods: dict[str, AdapterSettings], asked: set[str], labels: int
) -> list[MethodCount]:
    """Count on models without weights, or say what does not fit."""
    from loretta_cli.measure.empty_model import count_on_empty_model

    model_config, form = _model(config)
    facts = model_config.to_dict()
    counts = []
    for method, settings in methods.items():
        try:
            count = count_on_empty_model(method, settings, model_config, form, labels)
        except LorettaError:
            if method in asked:
                raise
            continue
        counts.append(_counted(config.model.name or "", method, settings, count, facts))
    return counts


def _model(config: Config) -> tuple[Any, Form]:
    """The transformers config of the model, and the form in which it is counted."""
    from loretta_cli.models.forms import choose_form
    from loretta_cli.models.loading import architecture_config

    model_config = architecture_config(
        find_model(config.model.name or ""),
        revision=config.model.revision,
        trust_remote_code=config.model.trust_remote_code,
    )
    return model_config, choose_form(config.task.form, model_config)


def _counted(
    name: str, method: str, settings: AdapterSettings, count: ParameterCount, facts: Facts
) -> MethodCount:
    published = _published(name, method, settings)
    if method not in ("adp", "rep"):
        return MethodCount(name, method, count, published=published)
    preset = preset_for("adp" if method == "adp" else "rep", settings.preset, facts)
    return MethodCount(name, method, count, preset.name, preset.reason, published)


def _published(name: str, method: str, settings: AdapterSettings) -> PublishedCount | None:
    """What the paper prints for a model of this name, with why ours is another count."""
    known = None if find_model(name).is_local else find_architecture(name)
    printed = None if known is None else PUBLISHED.get((known[0], method))
    if printed is None or not settings.given or settings.given == {"preset": "paper"}:
        return printed
    return replace(printed, reason="counted with the adapter settings given; the paper's count is of its own")
