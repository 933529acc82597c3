"""``loretta count-params``: what each method would train, counted on a model without weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from loretta_cli.config import AdapterSettings, Config
from loretta_cli.measure.parameters import FLOAT32_BYTES, NO_PARTS, ParameterCount, count_adapter, count_base
from loretta_cli.models.families import Form
from loretta_cli.models.loading import architecture_config, choose_form, empty_model
from loretta_cli.models.source import find_model
from loretta_cli.presets import preset_for
from loretta_cli.tuners.settings import make_peft_config
from loretta_cli.tuners.targets import insert_adapter


@dataclass(frozen=True, slots=True)
class MethodCount:
    """The count of one method on one model, with the preset that was taken and why."""

    model: str
    method: str
    count: ParameterCount
    preset: str | None = None
    reason: str | None = None

    def as_json(self, *, with_shapes: bool) -> dict[str, Any]:
        """The fields of the contract, the preset, and on request the shapes."""
        document = {"model": self.model, "method": self.method, **self.count.as_json(), "preset": self.preset}
        if not with_shapes:
            document.pop("shapes")
        return document


def count_methods(
    config: Config, methods: Sequence[str], *, asked: set[str], labels: int | None
) -> list[MethodCount]:
    """Count several methods.

    Args:
        config: Model and adapter settings.
        methods: Names of methods, or ``full``.
        asked: Those that the adapter settings are meant for; others (of ``--compare``) have their own.
        labels: Labels of a classification head; those of the config, else 2.

    Raises:
        LorettaError: If the model cannot be read or the settings do not fit.
    """
    name = config.model.name or ""
    source = find_model(name)
    model_config = architecture_config(
        source, revision=config.model.revision, trust_remote_code=config.model.trust_remote_code
    )
    form = choose_form(config.task.form, model_config)
    number = labels or len(config.data.labels or ()) or 2
    counts = []
    for method in methods:
        settings = config.adapter if method in asked else AdapterSettings()
        counts.append(_count(name, method, settings, model_config, form=form, labels=number))
    return counts


def _count(
    name: str, method: str, settings: AdapterSettings, model_config: Any, *, form: Form, labels: int
) -> MethodCount:
    base = empty_model(model_config, form, labels)
    total = count_base(base)
    if method == "full":
        return MethodCount(
            name, method, ParameterCount(total, total, {**NO_PARTS, "base": total}, FLOAT32_BYTES * total, 0)
        )
    settings = AdapterSettings.model_validate({**settings.model_dump(exclude_unset=True), "method": method})
    task_type = "SEQ_CLS" if form == "classification" else "CAUSAL_LM"
    peft_config = make_peft_config(settings, task_type=task_type, model_type=model_config.model_type)
    count = count_adapter(insert_adapter(base, peft_config), total, model_config.model_type)
    if method not in ("adp", "rep"):
        return MethodCount(name, method, count)
    preset = preset_for("adp" if method == "adp" else "rep", settings.preset, model_config.to_dict())
    return MethodCount(name, method, count, preset.name, preset.reason)
