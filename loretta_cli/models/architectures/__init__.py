"""Architecture facts of well-known models, numbers from their public configs: no weights, no network.

One file a group of families; a new model is one line in its table. Imports only the standard library, so
that names can be listed and suggested at no cost.
"""

from __future__ import annotations

from loretta_cli.models.architectures.base import Architecture
from loretta_cli.models.architectures.encoders import ENCODERS
from loretta_cli.models.architectures.gemma import GEMMA
from loretta_cli.models.architectures.gpt import GPT
from loretta_cli.models.architectures.llama import LLAMA
from loretta_cli.models.architectures.qwen import QWEN
from loretta_cli.models.architectures.t5 import T5

ARCHITECTURES: dict[str, Architecture] = {**ENCODERS, **GEMMA, **GPT, **LLAMA, **QWEN, **T5}
"""Hub id to facts."""

__all__ = ["ARCHITECTURES", "Architecture"]
