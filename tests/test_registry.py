"""The lazy registry: names without imports, and hints for a name that is not known."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from loretta_cli.errors import ConfigError
from loretta_cli.registry import Registry, suggest


@pytest.fixture
def tools() -> Registry[object]:
    return Registry("tool", {"saw": "no_such_module:SAW", "hammer": "json:dumps", "drill": "json:loads"})


def test_names_are_listed_sorted_without_importing_anything(tools: Registry[object]) -> None:
    assert tools.names() == list(tools) == ["drill", "hammer", "saw"]
    assert "saw" in tools
    assert "axe" not in tools
    tools.check("saw")


def test_an_entry_is_imported_when_it_is_asked_for(
    tools: Registry[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ModuleNotFoundError):
        tools.get("saw")
    module = ModuleType("no_such_module")
    module.SAW = object()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "no_such_module", module)
    assert tools.get("saw") is module.SAW


def test_an_entry_can_be_added_twice_but_not_changed(tools: Registry[object]) -> None:
    tools.add("axe", "json:JSONEncoder")
    tools.add("axe", "json:JSONEncoder")
    with pytest.raises(ConfigError, match="tool 'axe' is registered twice: json:JSONEncoder and json:other"):
        tools.add("axe", "json:other")
    assert tools.get("axe").__name__ == "JSONEncoder"  # type: ignore[attr-defined]


def test_a_registry_does_not_change_the_mapping_it_was_made_of() -> None:
    targets = {"saw": "json:dumps"}
    Registry("tool", targets).add("axe", "json:loads")
    assert targets == {"saw": "json:dumps"}


@pytest.mark.parametrize("ask", ["check", "get"])
def test_an_unknown_name_is_refused_with_the_nearest_and_all(tools: Registry[object], ask: str) -> None:
    with pytest.raises(ConfigError, match=r"^Unknown tool 'hamer'\.$") as caught:
        getattr(tools, ask)("hamer")
    assert caught.value.hint == "Did you mean 'hammer'? Known tools: drill, hammer, saw."


def test_a_name_that_is_near_none_gets_the_list_only() -> None:
    assert suggest("xyz", ["b", "a"], plural="things") == "Known things: a, b."


def test_a_long_list_is_cut_at_twenty() -> None:
    known = [f"n{index:02}" for index in range(25)]
    hint = suggest("?", known, plural="names")
    assert hint == f"Known names: {', '.join(known[:20])}, …."
