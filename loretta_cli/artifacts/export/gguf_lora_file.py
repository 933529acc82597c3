"""What a LoRA of llama.cpp can carry: refusals before anything is loaded, and the file itself.

llama.cpp scales each update by ``adapter.lora.alpha`` over the rank of the layer; there is one alpha for all.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from loretta_cli.artifacts.export.low_rank import METHODS, LowRank
from loretta_cli.artifacts.run_folder import RunFolder
from loretta_cli.config import Config
from loretta_cli.errors import ConfigError, RunError
from loretta_cli.methods import MERGED
from loretta_cli.models.gguf_names import gguf_package

MERGE_HINT = "Fold it into the base model: loretta export --format gguf, or loretta merge."


def check_method(config: Config) -> None:
    """Refuse methods and forms that a LoRA of llama.cpp cannot be.

    Raises:
        ConfigError: With what to do instead.
    """
    method = config.adapter.method
    if method not in METHODS:
        raise ConfigError(
            f"Only {' and '.join(METHODS)} export as gguf-lora; this run is {method}."
            + (" Its adapters are nonlinear, and LoRA is linear." if method in ("adp", "adapters") else ""),
            hint=MERGE_HINT if method in MERGED else "Train with --method rep.",
        )
    if config.task.form == "classification":
        raise ConfigError(
            "This run has a classification head, which a LoRA in GGUF cannot carry.",
            hint="Train a causal language model with a prompt: --set task.form=prompt.",
        )


def check_saved_modules(run: RunFolder) -> None:
    """Refuse a run with modules that are trained or saved whole.

    Raises:
        ConfigError: Naming them.
        RunError: If the adapter's config cannot be read.
    """
    try:
        text = (run.adapter / "adapter_config.json").read_text(encoding="utf-8")
        settings: dict[str, Any] = json.loads(text)
    except (OSError, ValueError) as error:
        raise RunError(
            f"The adapter in {run.adapter} has no readable adapter_config.json.",
            hint="The files may be damaged; export from a finished run.",
        ) from error
    saved = [*(settings.get("modules_to_save") or ()), *(settings.get("frozen_modules_to_save") or ())]
    if saved:
        raise ConfigError(
            f"This run has trained {', '.join(saved)} as well, which a LoRA in GGUF cannot carry.",
            hint=MERGE_HINT,
        )
    if settings.get("bias", "none") != "none":
        raise ConfigError("This run trains biases, which a LoRA in GGUF cannot carry.", hint=MERGE_HINT)


def write_adapter(file: Path, tensors: LowRank, architecture: str) -> int:
    """Write a LoRA adapter of llama.cpp.

    Args:
        file: To write.
        tensors: Name of each weight in GGUF to ``(rank, in)`` and ``(out, rank)``, scale included.
        architecture: The ``general.architecture``.

    Returns:
        The largest rank, which is the alpha too; where a layer has another, the quotient is folded in.
    """
    gguf = gguf_package()
    rank = max(a.shape[0] for a, _ in tensors.values())
    writer = gguf.GGUFWriter(file, architecture)
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, float(rank))
    for name, (a, b) in tensors.items():
        writer.add_tensor(f"{name}.lora_a", a.numpy())
        writer.add_tensor(f"{name}.lora_b", (b * (a.shape[0] / rank)).numpy())
    try:
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    finally:
        writer.close()
    return rank
