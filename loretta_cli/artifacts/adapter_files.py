"""The two files of an adapter in PEFT's layout, looked at before PEFT reads them. Imports no torch.

PEFT would take a pickle where the safetensors file is missing, and ask the hub where both are; an adapter may
come from a stranger, so it gets neither chance.
"""

from __future__ import annotations

import json
from pathlib import Path

from loretta_cli.errors import RunError

SETTINGS, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
PICKLE = "adapter_model.bin"


def check_adapter_files(folder: Path) -> None:
    """Refuse a folder whose settings are no JSON object of an adapter, or whose tensors are no safetensors.

    Raises:
        RunError: Naming the file, what was found and what was expected.
    """
    file = folder / SETTINGS
    try:
        settings = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(
            f"Cannot read the adapter's settings {file}: expected a JSON object.",
            hint="The file is missing, damaged or cut; put it back from a backup.",
        ) from error
    if not isinstance(settings, dict) or not isinstance(settings.get("peft_type"), str):
        raise RunError(
            f"{file} says no peft_type; expected the settings of an adapter, as PEFT writes them.",
            hint="Give the folder that save_pretrained wrote.",
        )
    if (folder / WEIGHTS).is_file():
        return
    if (folder / PICKLE).exists():
        raise RunError(
            f"{folder} has its tensors in {PICKLE}, a pickle, which may run code when it is read; expected "
            f"{WEIGHTS}.",
            hint="If you trust it, load it with PEFT and save it again: save_pretrained writes safetensors.",
        )
    raise RunError(
        f"{folder} has no {WEIGHTS}, the tensors of the adapter.", hint="Put it back from a backup."
    )
