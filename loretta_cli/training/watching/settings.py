"""The settings that mend a training, as flags: of those that it has not, each as it would be typed."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

import torch

from loretta_cli.artifacts.checkpoints import last_complete, step_of
from loretta_cli.artifacts.run_folder import RunFolder
from loretta_cli.config import Config
from loretta_cli.methods import training_defaults
from loretta_cli.planning.gradients import SECOND_MOMENT

_FAR = 3
"""How many times the present learning rate the usual one is, at least, to be another one."""
HALF = {torch.float16: "float16", torch.bfloat16: "bfloat16"}


@dataclass(frozen=True, slots=True)
class Watched:
    """The training that is watched.

    Args:
        config: Resolved.
        dtype: In which the base model computes.
        run: Its folder.
    """

    config: Config
    dtype: torch.dtype
    run: RunFolder

    @property
    def is_zeroth_order(self) -> bool:
        """Whether gradients are estimated."""
        return self.config.training.gradient == "zo"

    def rate_times(self, factor: float) -> str:
        """The flag of another learning rate: so many times the present one, or the usual one of the method.

        The usual one is nearer to what works where the present one is far above it and is to be lowered, or
        far below it and is to be raised. With estimated gradients ``zo.second_moment`` goes along: a rate
        that is given takes the default of it away, and the usual rate counts in its unit.
        """
        present, usual = self._rates()
        asked, decay = present * factor, self.config.zo.second_moment
        if (factor < 1 and usual < asked) or (factor > 1 and present * _FAR <= usual):
            asked, decay = usual, decay or SECOND_MOMENT
        is_divided = self.is_zeroth_order and self.config.training.optimizer in (None, "sgd")
        unit = f" --set zo.second_moment={decay:g}" if is_divided and decay else ""
        return f"--set training.learning_rate={asked:.3g}{unit}"

    def other_rates(self) -> list[str]:
        """Flags of a lower learning rate and a higher one, the likelier first; far from the usual one, one.

        Estimated gradients have a guard against too high a rate, so that it is rather too low.
        """
        present, usual = self._rates()
        lower, higher = self.rate_times(0.1), self.rate_times(3.0)
        if present * _FAR <= usual:
            return [higher]
        if present >= usual * _FAR:
            return [lower]
        return [higher, lower] if self.is_zeroth_order else [lower, higher]

    def _rates(self) -> tuple[float, float]:
        """The present learning rate, and the usual one of the method."""
        training = self.config.training
        usual = training_defaults(self.config.adapter.method, training.gradient).learning_rate
        return training.learning_rate or 0.0, usual

    def gentler(self) -> list[str]:
        """Flags that keep a training from diverging, the likeliest first."""
        training = self.config.training
        found = [self.rate_times(0.1)]
        if training.scheduler == "constant":
            found.append("--set training.scheduler=constant_with_warmup --set training.warmup=0.1")
        elif not training.warmup:
            found.append("--set training.warmup=0.1")
        if not self.is_zeroth_order and not training.max_grad_norm:
            found.append("--set training.max_grad_norm=1")
        return [*found, *self.finer()]

    def finer(self) -> list[str]:
        """The flags of a dtype with more room, if the model's is not the best."""
        return ["--set model.dtype=float32"] if self.dtype in HALF else []

    def numbers_again(self) -> str:
        """What may be done about a base model whose forward pass gives no numbers."""
        return either(self.finer()) or "another model, or its weights anew: these may be damaged"

    def precision(self) -> str:
        """What half precision has to do with it, as the end of a sentence; empty in full precision."""
        if self.dtype == torch.float16:
            return "; float16, in which the model computes, ends at 65,504"
        if self.dtype == torch.bfloat16:
            return "; the model computes in bfloat16, which has 3 digits"
        return ""

    def what_is_left(self) -> str:
        """Which checkpoint is whole, and how to go on with other settings."""
        last = last_complete(self.run.checkpoints)
        if last is None:
            return "There is no checkpoint yet: start again with --overwrite."
        return (
            f"The checkpoint of step {step_of(last)} is whole ({shlex.quote(str(last))}). A run is resumed "
            "with its own settings, so start again with another --output, or with --overwrite, which removes "
            "it."
        )


def either(flags: list[str]) -> str:
    """Flags of which one is to be tried."""
    return ", or ".join(flags)
