"""What a gradient source does not read is refused in one sentence that says what to do instead."""

from __future__ import annotations

import re

import pytest

from loretta_cli.config import Config, load_config
from loretta_cli.errors import ConfigError
from loretta_cli.planning.gradients import SECOND_MOMENT, decide_gradient, scaled_for_default_rate


def decided(*settings: str, gradient: str = "zo") -> Config:
    return decide_gradient(load_config(None, {"training.gradient": gradient}, settings).config)


REFUSED = {
    ("training.max_grad_norm=1",): ("training.max_grad_norm is set", "zo.clip"),
    ("training.gradient_checkpointing=true",): ("training.gradient_checkpointing", "no backward pass"),
    ("training.shard_base=true",): ("training.shard_base is set", "Leave it out"),
    ("adapter.dropout=0.1",): ("adapter.dropout is set", "Dropout is off"),
    ("zo.normalize=true", "zo.queries=4"): ("zo.normalize is set", "zo.estimator=one-sided"),
    ("zo.alpha=0.5",): ("zo.alpha is set", "zo.schedule=adazeta"),
    ("zo.beta=0.5",): ("zo.beta is set", "zo.schedule=adazeta"),
    ("zo.beta=0.5", "zo.schedule=linear"): ("zo.beta is set", "zo.schedule=adazeta"),
    ("zo.max_queries=8",): ("zo.max_queries is set", "zo.schedule=adazeta or linear"),
    ("zo.queries=4", "zo.schedule=adazeta"): ("zo.queries is set", "alpha, beta and max_queries"),
    ("zo.normalize=true", "zo.estimator=one-sided"): ("two queries or more", "zo.queries=8"),
    ("zo.normalize=true", "zo.estimator=one-sided", "zo.schedule=linear"): ("two queries", "zo.queries=8"),
    ("zo.normalize=true", "zo.estimator=one-sided", "zo.schedule=adazeta"): ("begins with one", "zo.alpha=2"),
    ("zo.schedule=linear", "zo.queries=9", "zo.max_queries=8"): ("zo.max_queries is 8", "9 or more"),
    ("training.momentum=0.9", "training.optimizer=adamw"): ("adamw does not read it", "optimizer=sgd"),
    ("adapter.method=full", "training.optimizer=adamw"): ("training.optimizer is adamw", "adp, rep or lora"),
    ("adapter.method=full", "training.momentum=0.5"): ("training.momentum is 0.5", "without momentum"),
    ("adapter.method=full", "zo.backend=batched"): ("zo.backend is batched", "Leave zo.backend out"),
    ("training.objective=accuracy", "zo.split=rows"): ("zo.split is rows", "zo.split=queries"),
    ("training.objective=accuracy", "zo.backend=batched"): ("scored one by one", "Leave zo.backend out"),
    ("zo.memory=64", "zo.backend=sequential"): ("zo.memory is set", "zo.backend=batched"),
    ("zo.memory=64", "adapter.method=full"): ("zo.memory is set", "zo.backend=batched"),
}


@pytest.mark.parametrize(("settings", "words"), REFUSED.items(), ids=[", ".join(key) for key in REFUSED])
def test_what_zeroth_order_training_does_not_read_is_refused(
    settings: tuple[str, ...], words: tuple[str, str]
) -> None:
    with pytest.raises(ConfigError, match=re.escape(words[0])) as caught:
        decided(*settings)

    assert caught.value.message.count(". ") == 0, "one sentence"
    assert words[1] in caught.value.hint


@pytest.mark.parametrize(
    "setting",
    [
        *("zo.estimator=one-sided", "zo.directions=rademacher", "zo.queries=2", "zo.schedule=linear"),
        *("zo.alpha=2", "zo.beta=0.5", "zo.max_queries=3", "zo.epsilon=0.01", "zo.normalize=true"),
        *("zo.second_moment=0.9", "zo.clip=2", "zo.rollback=3", "zo.max_forward_passes=9"),
        *("zo.backend=batched", "zo.memory=64", "zo.split=rows"),
    ],
)
def test_no_zeroth_order_setting_is_read_by_backpropagation(setting: str) -> None:
    with pytest.raises(ConfigError, match=r"training.gradient=backprop does not read it") as caught:
        decided(setting, gradient="backprop")

    assert setting.partition("=")[0] in caught.value.message
    assert "training.gradient=zo" in caught.value.hint


def test_backpropagation_refuses_momentum_that_its_optimizer_does_not_read() -> None:
    with pytest.raises(ConfigError, match="adamw does not read it"):
        decided("training.momentum=0.9", gradient="backprop")
    assert decided("training.momentum=0.9", "training.optimizer=sgd", gradient="backprop").training.momentum


@pytest.mark.parametrize(
    "settings",
    [
        ("zo.normalize=true", "zo.estimator=one-sided", "zo.queries=2"),
        ("zo.normalize=true", "zo.estimator=one-sided", "zo.schedule=adazeta", "zo.alpha=2"),
        ("zo.schedule=linear", "zo.queries=2", "zo.max_queries=8"),
        ("zo.schedule=adazeta", "zo.alpha=0.5", "zo.beta=0.9", "zo.max_queries=8"),
        ("training.momentum=0.9",),
        ("training.optimizer=rmsprop", "training.early_stopping=2"),
        ("adapter.method=full",),
        ("adapter.method=lora", "zo.split=rows"),
    ],
)
def test_what_fits_together_is_accepted(settings: tuple[str, ...]) -> None:
    assert decided(*settings).training.gradient == "zo"


def test_zeroth_order_training_has_defaults_of_its_own() -> None:
    zo, backprop = decided(), decided(gradient="backprop")

    assert (zo.training.optimizer, zo.training.max_grad_norm, zo.adapter.preset) == ("sgd", None, "lean")
    assert (backprop.training.optimizer, backprop.training.max_grad_norm) == ("adamw", 1.0)
    assert backprop.adapter.preset == "auto"


def test_what_was_said_is_kept() -> None:
    config = decided("training.optimizer=adamw", "adapter.preset=paper")

    assert (config.training.optimizer, config.adapter.preset) == ("adamw", "paper")


def test_default_rates_come_with_the_second_moment_that_they_were_measured_with() -> None:
    assert scaled_for_default_rate(decided()).second_moment == SECOND_MOMENT
    assert scaled_for_default_rate(decided("training.learning_rate=0.1")).second_moment is None
    assert scaled_for_default_rate(decided("zo.second_moment=null")).second_moment is None
    assert scaled_for_default_rate(decided("zo.second_moment=0.5")).second_moment == 0.5
    assert scaled_for_default_rate(decided("training.optimizer=adamw")).second_moment is None
    assert scaled_for_default_rate(decided(gradient="backprop")).second_moment is None
