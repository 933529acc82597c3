"""What a run shows before it begins."""

from __future__ import annotations

from loretta_cli.artifacts.run_folder import RunFolder
from loretta_cli.numerals import counted
from loretta_cli.planning.plan import AdaptedModel, Plan
from loretta_cli.presets import preset_for
from loretta_cli.processes import processes
from loretta_cli.training.gradients.length import length_of_training


def facts(plan: Plan, adapted: AdaptedModel, run: RunFolder) -> dict[str, str]:
    """What the header of a run shows."""
    training, adapter, count = adapted.config.training, adapted.config.adapter, adapted.count
    parts = count.parts_in_words(adapter.method)
    share = ""
    if (count_of := processes().count) > 1:
        share = f" ({training.batch_size // count_of} on each of {count_of} processes)"
    preset = ""
    if adapter.method in ("adp", "rep"):
        chosen = preset_for(
            "adp" if adapter.method == "adp" else "rep",
            plan.config.adapter.preset,
            plan.model_config.to_dict(),
        )
        preset = f", TT rank {adapter.tt_rank}, preset {chosen.name} ({chosen.reason})"
    sizes = {"bottleneck": adapter.bottleneck, "virtual tokens": adapter.virtual_tokens}
    size = "".join(f", {name} {value}" for name, value in sizes.items() if value)
    quantized = f", {plan.config.model.quantization}" if plan.config.model.quantization else ""
    zeroth_order = {"gradient": _zeroth_order(adapted)} if training.gradient == "zo" else {}
    return {
        "model": f"{adapted.config.model.name} ({plan.form.name}{quantized})",
        "data": f"{len(plan.data.train):,} train, {len(plan.data.selection):,} selection, "
        f"{counted(len(plan.data.validation), 'validation row')} (protocol {plan.config.data.protocol})",
        "adapter": f"{adapter.method}{size}{preset}",
        "trainable": f"{count.trainable:,} of {count.total:,} ({count.percent:.3f} %): {parts}",
        "training": f"{_length(plan, adapted)}, batch {training.batch_size}{share}, "
        f"learning rate {training.learning_rate:g}, seed {training.seed}",
        **zeroth_order,
        "run": str(run.path),
    }


def _length(plan: Plan, adapted: AdaptedModel) -> str:
    """How long the training is."""
    training, budget = adapted.config.training, adapted.config.zo.max_forward_passes
    if budget is not None:
        steps = length_of_training(adapted.config, len(plan.data.train)).steps
        return f"{counted(steps, 'step')} of at most {counted(budget, 'forward pass', 'forward passes')}"
    if training.max_steps:
        return counted(training.max_steps, "step")
    return "1 epoch" if training.epochs == 1 else f"{training.epochs:g} epochs"


def _zeroth_order(adapted: AdaptedModel) -> str:
    """How gradients are estimated."""
    zo = adapted.config.zo
    queries = {
        "constant": "1 query a step" if zo.queries == 1 else f"{zo.queries} queries a step",
        "linear": f"{zo.queries} to {zo.max_queries} queries a step",
        "adazeta": f"min({zo.alpha:g} * epoch^{zo.beta:g}, {zo.max_queries}) queries a step",
    }[zo.schedule]
    eps = "measured with the first batch" if zo.epsilon is None else f"{zo.epsilon:g}"
    return f"zo (forward passes alone), {zo.estimator}, {zo.directions}, {queries}, eps {eps}"
