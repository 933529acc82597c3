"""Reading YAML that a user wrote: plain data only, with file, line and column in every error.

Two differences from PyYAML's ``safe_load``. A key given twice in one mapping is an error. And, as in
YAML 1.2, only ``true`` and ``false`` are booleans and dates stay text, so that the labels ``[yes, no]``
and a folder ``2026-01-31`` arrive as written. Imports PyYAML and :mod:`errors`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import yaml

from loretta_cli.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

_TAG = "tag:yaml.org,2002:"


class _PlainLoader(yaml.SafeLoader):
    """``SafeLoader`` that refuses repeated keys and says where a value cannot be built."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - the name and kind that PyYAML looks for
        first: [rule for rule in rules if rule[0] not in (f"{_TAG}bool", f"{_TAG}timestamp")]
        for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    # PyYAML's stubs call the anchor a dictionary; it is text or None.
    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        lines: dict[tuple[str, str], int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == f"{_TAG}merge":
                continue
            seen = (key.tag, key.value)
            if seen in lines:
                raise _fault(key, f"the key {key.value!r} is given twice, first on line {lines[seen]}")
            lines[seen] = key.start_mark.line + 1
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep=deep)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            # Some of PyYAML's constructors trust their input: `!!int x`, a number of 5,000 digits.
            raise _fault(node, f"a value cannot be read as {node.tag.removeprefix(_TAG)}") from error


_PlainLoader.add_implicit_resolver(
    f"{_TAG}bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)


def _fault(node: yaml.Node, problem: str) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


def parse_yaml(text: str, where: str) -> object:
    """The one YAML document in ``text`` as plain Python data; None if there is none.

    Args:
        text: YAML.
        where: The file or option it came from, as messages begin.

    Raises:
        ConfigError: If it is not YAML or asks for more than plain data, with line and column.
    """
    try:
        return yaml.load(text, Loader=_PlainLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = error.problem or error.context or "not YAML"
        raise _error(f"{where}{place}", problem) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        column = error.position - (text.rfind("\n", 0, error.position) + 1) + 1
        problem = f"the character U+{ord(text[error.position]):04X} is not allowed in YAML"
        raise _error(f"{where}, line {line}, column {column}", problem) from None
    except RecursionError:
        raise ConfigError(f"{where}: lists or mappings are nested too deeply.") from None


def _error(place: str, problem: str) -> ConfigError:
    """PyYAML's ``problem`` as our sentence, with a hint for the common ones."""
    hint = "Check indentation, colons and quotes near that place."
    unknown_tag = re.search(r"constructor for the tag '(.+)'", problem)
    if unknown_tag:
        tag = unknown_tag[1].replace(_TAG, "!!")
        problem = f"the tag {tag!r} is not allowed"
        hint = "Use plain YAML only: text, numbers, true, false, null, lists and mappings."
    elif problem == "but found another document":
        problem, hint = (
            "a second document begins",
            "Keep one document a file, without a line of three dashes.",
        )
    elif "given twice" in problem:
        hint = "Keep one of the two."
    elif "'\\t'" in problem:
        hint = "Indent with spaces, not with tabs."
    return ConfigError(f"{place}: {problem}.", hint=hint)


def read_mapping(path: Path, kind: str) -> dict[object, object]:
    """The mapping at the top of a YAML file.

    Args:
        path: The file, in UTF-8.
        kind: What the file is, as messages say it ("recipe").

    Raises:
        ConfigError: If it cannot be read, is not UTF-8 or YAML, or holds something else.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(f"There is no {kind} at {path}.", hint="Check the path.") from None
    except IsADirectoryError:
        raise ConfigError(
            f"{path} is a folder, expected a {kind} file.", hint="Give a .yaml file inside it."
        ) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ConfigError(
            f"The {kind} {path} cannot be read: {reason}.", hint="Check the path and your rights to it."
        ) from None
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"The {kind} {path} is not UTF-8: byte {error.start} is 0x{content[error.start]:02X}.",
            hint="Save the file as UTF-8.",
        ) from None
    data = parse_yaml(text.removeprefix("\ufeff"), str(path))
    if isinstance(data, dict):
        return data
    example = "Write sections at the top, such as 'training:' with 'seed: 1' indented below it."
    if data is None:
        raise ConfigError(f"The {kind} {path} is empty, expected sections with settings.", hint=example)
    found = "a list" if isinstance(data, list) else "a single value"
    raise ConfigError(f"{path}: found {found} at the top, expected sections with settings.", hint=example)
