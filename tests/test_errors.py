"""The tree of errors and its exit codes."""

from __future__ import annotations

import pytest

from loretta_cli import errors


@pytest.mark.parametrize(
    ("name", "exit_code"),
    [
        ("LorettaError", 1),
        ("ConfigError", 2),
        ("DataError", 2),
        ("ModelError", 2),
        ("OutputError", 2),
        ("RunError", 2),
        ("TrainingError", 1),
        ("ExportError", 1),
    ],
)
def test_an_error_has_an_exit_code_a_message_and_a_hint(name: str, exit_code: int) -> None:
    kind = getattr(errors, name)
    error = kind("Found a cat.", hint="Bring a dog.")
    assert isinstance(error, errors.LorettaError)
    assert (error.exit_code, error.message, error.hint, str(error)) == (
        exit_code,
        "Found a cat.",
        "Bring a dog.",
        "Found a cat.",
    )
    assert kind("Found a cat.").hint == ""
    assert f"{name} " in (errors.__doc__ or "")


def test_no_error_is_missing_in_the_tests() -> None:
    kinds = [
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, errors.LorettaError)
    ]
    assert len(kinds) == 8
