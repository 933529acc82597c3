"""Why the Hugging Face hub did not give a model or a data set, told from its library's exceptions.

The libraries that read models and data sets wrap these in sentences of their own, often without the reason;
the exception that began it is in the chain. Imports huggingface_hub only when asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from huggingface_hub.errors import HfHubHTTPError


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why there is no answer, and what helps.

    Args:
        reason: The end of a sentence such as ``Cannot read the model 'org/name': …``.
        hint: What to do.
        is_final: Whether nothing else may have been meant, such as a folder or another name.
    """

    reason: str
    hint: str
    is_final: bool = False


def refusal(kind: Literal["model", "data set"], name: str, error: BaseException) -> Refusal | None:
    """Find in an exception and its causes why the hub did not give something.

    Args:
        kind: What was asked for.
        name: Its id on the hub.
        error: What the reading library raised.

    Returns:
        The refusal; None where the hub gave all it was asked for, and the fault lies in that.
    """
    from huggingface_hub import constants, errors

    page = f"{constants.ENDPOINT}/{'datasets/' if kind == 'data set' else ''}{name}"
    answered = [link for link in chain(error) if isinstance(link, errors.HfHubHTTPError)]
    answered = [link for link in answered if not isinstance(link, errors.EntryNotFoundError)]
    if answered:
        return _answered(answered[-1], kind, page)
    if not any(isinstance(link, (ConnectionError, errors.LocalEntryNotFoundError)) for link in chain(error)):
        return None
    if constants.is_offline_mode():
        return Refusal(
            "it is not in the cache, or only a part of it, and HF_HUB_OFFLINE=1 forbids a download",
            "Unset HF_HUB_OFFLINE until it is downloaded.",
        )
    return Refusal(
        f"the hub at {constants.ENDPOINT} cannot be reached, and it is not in the cache",
        "Check the network, the proxy and HF_ENDPOINT.",
    )


def _answered(error: HfHubHTTPError, kind: str, page: str) -> Refusal:
    """What an answer of the hub means."""
    from huggingface_hub import errors

    status, told = error.response.status_code, error.server_message or ""
    if isinstance(error, errors.GatedRepoError) and status == HTTPStatus.UNAUTHORIZED:
        return Refusal(
            "it is gated, and you are not logged in",
            f"Accept its terms on {page}, then run `hf auth login` or set HF_TOKEN.",
            is_final=True,
        )
    if isinstance(error, errors.GatedRepoError):
        return Refusal(
            "it is gated, and your account has no access to it",
            f"Accept its terms on {page}; a fine-grained token also needs the right to read gated "
            "repositories.",
            is_final=True,
        )
    if isinstance(error, errors.RevisionNotFoundError):
        asked = re.search(r"/(?:revision|resolve|tree)/([^/?]+)", error.response.url.path)
        revision = f"no revision {asked[1]!r}" if asked else "no such revision"
        return Refusal(
            f"it has {revision}",
            f"Expected a branch, a tag or a whole commit hash; {page}/tree/main lists them.",
            is_final=True,
        )
    if status == HTTPStatus.UNAUTHORIZED and "credentials" in told:
        return Refusal(
            "the hub does not accept your access token",
            "Correct or unset HF_TOKEN, or run `hf auth login` again.",
            is_final=True,
        )
    if isinstance(error, errors.RepositoryNotFoundError):
        return Refusal(
            f"the hub has no such {kind}, or a private one",
            "Check the spelling; for a private one run `hf auth login` or set HF_TOKEN.",
        )
    reason = f"the hub answered with an error: {status} {told}".rstrip(" .")
    return Refusal(reason, f"Try again later; {page} may tell more.", is_final=True)


def chain(error: BaseException) -> Iterator[BaseException]:
    """An exception, then what led to it."""
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__ or link.__context__
