"""What the hub's refusals become; those that a server can show are in ``tests/cli/test_hub.py``."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from huggingface_hub import constants, errors

from loretta_cli.models.hub import refusal


def answered(status: int, said: str) -> OSError:
    response: Any = SimpleNamespace(status_code=status, headers={}, request=None)
    return errors.HfHubHTTPError("The library's own words", response=response, server_message=said)


def wrapped(cause: Exception) -> Exception:
    """An exception of another library whose reason lies two steps back."""
    try:
        try:
            raise RuntimeError("no luck") from cause
        except RuntimeError as error:
            raise OSError("could not load it") from error
    except OSError as error:
        return error


def test_an_answer_without_a_meaning_of_its_own_is_told_by_its_number() -> None:
    found = refusal("data set", "org/name", wrapped(answered(503, "Under repair.")))

    assert found is not None
    assert found.reason == "the hub answered with an error: 503 Under repair"
    assert f"{constants.ENDPOINT}/datasets/org/name" in found.hint


def test_an_answer_counts_more_than_a_connection_that_was_lost_after_it() -> None:
    late = ConnectionError("lost")
    late.__context__ = answered(401, "Invalid credentials in Authorization header")

    found = refusal("model", "org/name", late)

    assert found is not None
    assert "access token" in found.reason


def test_a_fault_of_what_the_hub_gave_is_no_refusal() -> None:
    assert refusal("model", "org/name", wrapped(ValueError("a hole in the weights"))) is None
