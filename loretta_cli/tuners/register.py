"""Telling PEFT about the three tuner types, and about an encoder of p-tuning that can be resumed.

PEFT has no plug-in point for a type outside its own enum; its look-up tables are plain dictionaries,
and writing the three of them is enough for ``get_peft_model``, ``save_pretrained`` and
``PeftModel.from_pretrained``.
"""

from __future__ import annotations

from typing import Any, cast

from peft import PeftType, mapping

from loretta_cli.tuners.adp import LorettaAdpConfig, LorettaAdpModel
from loretta_cli.tuners.peft_types import LorettaPeftType
from loretta_cli.tuners.rep import LorettaRepConfig, LorettaRepModel
from loretta_cli.tuners.selected import SelectedConfig, SelectedModel
from loretta_cli.tuners.virtual_tokens import ResumablePromptEncoder


def register_peft_types() -> None:
    """Enter the types into PEFT's tables. Doing it again changes nothing.

    Raises:
        RuntimeError: If PEFT, or another package, has types of these names already.
    """
    for peft_type, config, tuner in (
        (LorettaPeftType.LORETTA_ADP, LorettaAdpConfig, LorettaAdpModel),
        (LorettaPeftType.LORETTA_REP, LorettaRepConfig, LorettaRepModel),
        (LorettaPeftType.LORETTA_SELECTED, SelectedConfig, SelectedModel),
    ):
        key = cast("Any", peft_type)
        known = mapping.PEFT_TYPE_TO_CONFIG_MAPPING.get(key, config)
        if known is not config:
            raise RuntimeError(f"The PEFT type {peft_type.value} is already taken by {known!r}.")
        mapping.PEFT_TYPE_TO_CONFIG_MAPPING[key] = config
        mapping.PEFT_TYPE_TO_TUNER_MAPPING[key] = tuner
        mapping.PEFT_TYPE_TO_PREFIX_MAPPING[key] = tuner.prefix
    mapping.PEFT_TYPE_TO_TUNER_MAPPING[PeftType.P_TUNING] = cast("Any", ResumablePromptEncoder)
