"""The names of the methods, with one line each.

They stand outside :mod:`tuners`, whose import registers types with PEFT: a typo must not cost a torch import.
Imports :mod:`registry` and :mod:`errors` only.
"""

from __future__ import annotations

from loretta_cli.errors import ConfigError
from loretta_cli.registry import suggest

METHODS = {
    "adp": "tensor-train adapters behind sublayers or in the MLP (LoRETTA_adp)",
    "lora": "PEFT's LoRA, for comparison",
    "rep": "tensor-train reparameterised updates of weights; they merge (LoRETTA_rep)",
}
COUNTED_ONLY = {"full": "every weight of the model"}
"""Further names that ``count-params`` takes."""


def check_method(name: str, *, counting: bool = False) -> None:
    """Refuse an unknown method.

    Raises:
        ConfigError: With the nearest name and all names.
    """
    known = METHODS | COUNTED_ONLY if counting else METHODS
    if name not in known:
        raise ConfigError(f"Unknown method {name!r}.", hint=suggest(name, known, plural="methods"))
