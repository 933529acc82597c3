"""What a LoRA of llama.cpp can carry: refusals before anything is loaded, and the file itself.

llama.cpp scales each update by ``adapter.lora.alpha`` over the rank of the layer; there is one alpha for all.
"""

from __future__ import annotations

import json
from pathlib import Path

from loretta_cli.artifacts.adapter_files import SETTINGS, check_adapter_files
from loretta_cli.artifacts.export.gguf_model import check_whole
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
        RunError: If the adapter's files cannot be read.
    """
    check_adapter_files(run.adapter)
    settings = json.loads((run.adapter / SETTINGS).read_text(encoding="utf-8"))
    saved = [settings.get(name) or [] for name in ("modules_to_save", "frozen_modules_to_save")]
    if not all(isinstance(names, list) for names in saved):
        raise RunError(
            f"{run.adapter / SETTINGS} has modules_to_save that are no list of names.",
            hint="The file may be damaged; put it back from a backup.",
        )
    modules = [str(name) for names in saved for name in names]
    if modules:
        raise ConfigError(
            f"This run has trained {', '.join(modules)} as well, which a LoRA in GGUF cannot carry.",
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

    Raises:
        OSError: If it cannot be written.
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
    check_whole(file)
    return rank
