"""Anything at all as a recipe, as data, as an adapter: taken, or refused in our own words, never a crash."""

from __future__ import annotations

import contextlib
import json
import string
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loretta_cli.artifacts.adapter_files import check_adapter_files
from loretta_cli.artifacts.tensor_header import read_header
from loretta_cli.config import load_config
from loretta_cli.config.schema import setting_fields
from loretta_cli.config.yaml_files import parse_yaml
from loretta_cli.errors import LorettaError
from loretta_cli.tasks.sources.files import read_file

FUZZED = settings(
    max_examples=150,
    deadline=None,
    # The folder is written anew by every example.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    derandomize=True,
    database=None,
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(string.ascii_lowercase, max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
KEYS = st.sampled_from(sorted(setting_fields()))


@contextlib.contextmanager
def only_our_words() -> Iterator[None]:
    """Let an error of ours pass, if it has a sentence; any other fails the test."""
    raised = None
    try:
        yield
    except LorettaError as error:
        raised = error
    assert raised is None or (raised.message.strip() and "Traceback" not in raised.message)


@FUZZED
@given(
    text=st.text(st.characters(codec="utf-8"), max_size=200)
    | st.from_regex(r"[-{}\[\]:,&*!|>'\"%@`?# \na-c0-3]{0,60}")
)
def test_any_text_as_yaml(text: str) -> None:
    with only_our_words():
        parse_yaml(text, "mine.yaml")


@FUZZED
@given(content=st.dictionaries(KEYS, VALUES, max_size=4))
def test_any_value_for_any_setting_of_a_recipe(content: dict[str, object], tmp_path: Path) -> None:
    recipe: dict[str, object] = {}
    for key, value in content.items():
        *sections, name = key.split(".")
        place = recipe
        for section in sections:
            place = place.setdefault(section, {})  # type: ignore[assignment]
        place[name] = value
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(recipe), encoding="utf-8")

    with only_our_words():
        load_config(file, {}, ())


@FUZZED
@given(content=st.binary(max_size=300))
def test_any_bytes_as_a_recipe(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_bytes(content)

    with only_our_words():
        load_config(file, {}, ())


@FUZZED
@given(key=KEYS, value=st.text(max_size=30))
def test_any_text_behind_set(key: str, value: str) -> None:
    with only_our_words():
        load_config(None, {}, (f"{key}={value}",))


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "parquet", "txt"])
@FUZZED
@given(
    content=st.binary(max_size=200)
    | st.text(max_size=80).map(str.encode)
    | st.from_regex(r"(text,label\n)?([ab\",;\t\n\r]{0,40})").map(str.encode)
    | st.lists(VALUES, max_size=4).map(lambda rows: "\n".join(map(json.dumps, rows)).encode())
)
def test_any_bytes_as_data(ending: str, content: bytes, tmp_path: Path) -> None:
    file = tmp_path / f"rows.{ending}"
    file.write_bytes(content)

    with only_our_words():
        read_file(file, file.name)


@FUZZED
@given(
    settings_text=st.binary(max_size=60) | VALUES.map(lambda value: json.dumps(value).encode()),
    weights=st.binary(max_size=60)
    | VALUES.map(
        lambda value: (header := json.dumps(value).encode()) and len(header).to_bytes(8, "little") + header
    ),
)
def test_any_bytes_as_an_adapter(settings_text: bytes, weights: bytes, tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_bytes(settings_text)
    (tmp_path / "adapter_model.safetensors").write_bytes(weights)

    with only_our_words():
        check_adapter_files(tmp_path)
    assert isinstance(read_header(tmp_path / "adapter_model.safetensors"), dict)
