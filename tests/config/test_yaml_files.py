"""YAML from users: plain data, and the place of every fault."""

from __future__ import annotations

import pytest

from loretta_cli.config.yaml_files import parse_yaml, read_mapping
from loretta_cli.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[yes, no, on, off, y]", ["yes", "no", "on", "off", "y"]),
        ("[true, False]", [True, False]),
        ("2026-01-31", "2026-01-31"),
        ("2026-13-45", "2026-13-45"),
        ("1e-3", "1e-3"),
        ("1.0e-3", 0.001),
        ("~", None),
        ("", None),
        ("# only a comment", None),
        ("{a: &x {b: 1}, c: {<<: *x, d: 2}}", {"a": {"b": 1}, "c": {"b": 1, "d": 2}}),
    ],
)
def test_values_arrive_as_written(text, value):
    assert parse_yaml(text, "here") == value


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("a: 1\na: 2", "line 2, column 1", "'a' is given twice, first on line 1"),
        ("{a: 1, a: 2}", "line 1, column 8", "given twice"),
        ("b:\n  a: 1\n  'a': 2", "line 3, column 3", "'a' is given twice, first on line 2"),
        ("a: !!python/object/apply:os.system [ls]", "line 1, column 4", "'!!python/object/apply:os.system'"),
        ("a: !!python/name:os.system ''", "line 1, column 4", "'!!python/name:os.system'"),
        ("a: !mine 1", "line 1, column 4", "'!mine' is not allowed"),
        ("a: [1, 2", "line 1", "expected"),
        ("a: b: c", "line 1, column 5", "mapping values are not allowed here"),
        ("a:\n\tb: 1", "line 2, column 1", "'\\t'"),
        ("a: 1\n--- \nb: 2", "line 2, column 1", "a second document begins"),
        ("a: *nothing", "line 1, column 4", "undefined alias"),
        ("a: !!int x", "line 1, column 4", "cannot be read as int"),
        ("a: !!bool maybe", "line 1, column 4", "cannot be read as bool"),
        ("a: !!timestamp x", "line 1, column 4", "cannot be read as timestamp"),
        ("a: " + "9" * 5000, "line 1, column 4", "cannot be read as int"),
        ("a: 1\nb: \x07", "line 2, column 4", "U+0007"),
        ("{[1]: 2}", "line 1, column 2", "unhashable"),
    ],
)
def test_a_fault_has_its_place_and_its_reason(text, place, words):
    with pytest.raises(ConfigError) as caught:
        parse_yaml(text, "mine.yaml")
    assert caught.value.message.startswith(f"mine.yaml, {place}")
    assert words in caught.value.message
    assert caught.value.hint


def test_a_python_tag_runs_nothing(tmp_path):
    victim = tmp_path / "made"
    with pytest.raises(ConfigError):
        parse_yaml(f"!!python/object/apply:os.mkdir ['{victim}']", "here")
    assert not victim.exists()


def test_endless_nesting_is_an_error_and_not_a_crash():
    with pytest.raises(ConfigError, match="nested too deeply"):
        parse_yaml("[" * 5000, "here")


def test_a_file_is_read_with_or_without_byte_order_mark(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xef\xbb\xbftask:\r\n  name: \xc3\xa9t\xc3\xa9\r\n")
    assert read_mapping(path, "recipe") == {"task": {"name": "été"}}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"# nothing here\n", "is empty"),
        (b"- a\n- b\n", "found a list at the top"),
        (b"just words\n", "found a single value at the top"),
        (b"task:\n  name: \xe9\n", "is not UTF-8: byte 14 is 0xE9"),
        (b"\xff\xfea\x00", "is not UTF-8: byte 0 is 0xFF"),
        (b"a: [\n", "line 2, column 1"),
    ],
)
def test_a_file_that_holds_no_settings_is_named_with_the_reason(tmp_path, content, words):
    path = tmp_path / "mine.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read_mapping(path, "recipe")
    assert str(path) in caught.value.message
    assert words in caught.value.message
    assert caught.value.hint


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path):
    with pytest.raises(ConfigError, match=r"There is no recipe at .*absent\.yaml"):
        read_mapping(tmp_path / "absent.yaml", "recipe")
    with pytest.raises(ConfigError, match="is a folder, expected a recipe file"):
        read_mapping(tmp_path, "recipe")


def test_a_path_below_a_file_cannot_be_read(tmp_path):
    (tmp_path / "file").write_text("a: 1")
    with pytest.raises(ConfigError, match="cannot be read: Not a directory"):
        read_mapping(tmp_path / "file" / "recipe.yaml", "recipe")
