"""How messages name values and what a setting takes. Imports the kinds of values only."""

from __future__ import annotations

import reprlib
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Literal, Union, get_args, get_origin

from loretta_cli.config.kinds import Expects

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic.fields import FieldInfo

_LONGEST = 60


def shown(value: object) -> str:
    """``value`` as a message quotes it: short, in YAML's words for nothing and truth."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    short = reprlib.Repr()
    short.maxstring = short.maxother = short.maxlong = _LONGEST
    short.maxlist = short.maxdict = 8
    try:
        return short.repr(value)
    except ValueError:  # Python writes no integer of more than 4,300 digits
        return "a number that is too long to show"


def expected(field: FieldInfo) -> str:
    """What ``field`` takes, in words ("a whole number above 0 or a list of whole numbers above 0")."""
    for mark in field.metadata:
        if isinstance(mark, Expects):
            return mark.one
    return " or ".join(_phrases(field.annotation))


def choices(field: FieldInfo) -> list[str]:
    """The words that ``field`` allows, if it allows only some."""
    return _choices(field.annotation)


def is_text(field: FieldInfo) -> bool:
    """Whether ``field`` takes text and nothing else."""
    return expected(field) == "text"


def takes_text(field: FieldInfo, *, in_lists: bool = False) -> bool:
    """Whether ``field`` takes any text.

    Args:
        field: A single setting.
        in_lists: Count lists of texts too.
    """
    return _takes_text(field.annotation, in_lists)


def _takes_text(kind: object, in_lists: bool) -> bool:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _takes_text(arguments[0], in_lists)
    if origin in (Union, UnionType) or (origin is list and in_lists):
        return any(_takes_text(member, in_lists) for member in arguments)
    return kind is str


def _phrases(kind: object) -> list[str]:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        marks = [mark.one for mark in arguments[1:] if isinstance(mark, Expects)]
        return marks or _phrases(arguments[0])
    if origin in (Union, UnionType):
        return [phrase for member in arguments if member is not NoneType for phrase in _phrases(member)]
    if origin is Literal:
        return [_listed([str(choice) for choice in arguments])]
    if origin is list:
        marks = [mark.many for mark in get_args(arguments[0])[1:] if isinstance(mark, Expects)]
        return [f"a list of {marks[0]}"]
    return ["true or false"]


def _choices(kind: object) -> list[str]:
    if get_origin(kind) is Literal:
        return [str(choice) for choice in get_args(kind)]
    return [choice for member in get_args(kind) for choice in _choices(member)]


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
