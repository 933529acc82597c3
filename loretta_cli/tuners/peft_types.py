"""The PEFT types of this project, as an own ``str`` enum: PEFT's is closed, and it reads ``.value``."""

from __future__ import annotations

from enum import Enum


class LorettaPeftType(str, Enum):
    """``peft_type`` of the three tuners."""

    LORETTA_ADP = "LORETTA_ADP"
    LORETTA_REP = "LORETTA_REP"
    LORETTA_SELECTED = "LORETTA_SELECTED"
