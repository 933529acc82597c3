"""The kinds of values that settings take: limits, tolerated spellings, and their names in messages.

Imports pydantic and :mod:`credentials`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from loretta_cli.credentials import has_credentials

OWN_SENTENCE = "own_sentence"
"""Type of the pydantic errors whose message is already the sentence that the user reads."""


@dataclass(frozen=True, slots=True)
class Expects:
    """How an error message names what a setting takes; stands in ``Annotated`` and validates nothing.

    Args:
        one: One value, with its article ("a whole number above 0").
        many: Several of them, without an article ("whole numbers above 0").
    """

    one: str
    many: str = ""


@dataclass(frozen=True, slots=True)
class Escaped:
    """Says that a text on the command line may have escapes in it: of line break, tab and backslash.

    Stands in ``Annotated`` and validates nothing.
    """


def own_sentence(sentence: str, hint: str = "") -> PydanticCustomError:
    """An error that says ``sentence`` behind the setting's key, and perhaps how to mend it."""
    return PydanticCustomError(OWN_SENTENCE, "{sentence}", {"sentence": sentence, "hint": hint})


def _no_credentials(name: str) -> str:
    # It would be kept in the run folder, which is shared.
    if has_credentials(name):
        raise own_sentence(
            "a password or a token stands in it", "Leave it out; log in to the hub with: hf auth login"
        )
    return name


def _number(value: object) -> object:
    # Python counts True as 1; nobody means that by `seed: true`.
    if isinstance(value, bool):
        raise ValueError("a boolean is not a number")
    return value


def _whole_number(value: object) -> object:
    # YAML 1.1 reads 1e3 as text. Only then by way of float, which would round a long integer.
    if isinstance(value, str) and "e" in value.lower():
        try:
            number = float(value)
        except ValueError:
            return value
        return int(number) if number.is_integer() else value
    return _number(value)


_Whole = BeforeValidator(_whole_number)
_Number = BeforeValidator(_number)

TrackerName = Annotated[
    Literal["tensorboard", "trackio", "wandb"],
    Expects("tensorboard, trackio or wandb", "these: tensorboard, trackio, wandb"),
]
Text = Annotated[str, StringConstraints(min_length=1), Expects("text", "texts")]
Place = Annotated[Text, AfterValidator(_no_credentials)]
Count = Annotated[int, _Whole, Field(gt=0), Expects("a whole number above 0", "whole numbers above 0")]
LayerIndex = Annotated[
    int, _Whole, Field(ge=0), Expects("a whole number of 0 or more", "whole numbers of 0 or more")
]
Length = Annotated[int, _Whole, Field(ge=8), Expects("a whole number of 8 or more")]
# numpy's and transformers' generators take 32 bits.
Seed = Annotated[int, _Whole, Field(ge=0, lt=2**32), Expects("a whole number from 0 to 4294967295")]
Positive = Annotated[float, _Number, Field(gt=0), Expects("a number above 0")]
NotNegative = Annotated[float, _Number, Field(ge=0), Expects("a number of 0 or more")]
Share = Annotated[float, _Number, Field(gt=0, lt=1), Expects("a number above 0 and below 1")]
Dropout = Annotated[float, _Number, Field(ge=0, lt=1), Expects("a number of 0 or more and below 1")]
Warmup = Annotated[
    float,
    _Number,
    Field(ge=0),
    Expects("a share of the steps (0 or more, below 1) or a whole number of steps"),
]
ShapeName = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,8}x[1-9][0-9]{0,8}$")]
ModeShapes = Annotated[
    dict[ShapeName, Annotated[list[Count], Field(min_length=1)]],
    Expects("INxOUT with a list of whole numbers above 0 each, such as {768x64: [8, 8, 12, 8, 8]}"),
]
