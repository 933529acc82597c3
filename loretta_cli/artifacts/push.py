"""Uploading an adapter, or what was exported from it, to the Hugging Face hub, with its card.

What goes is chosen in :mod:`.push_files`. Imports huggingface_hub when it uploads, and no torch.
"""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loretta_cli.artifacts.push_files import Upload, files_to_push
from loretta_cli.errors import ConfigError, OutputError
from loretta_cli.models.hub import chain

LOST_CONNECTIONS = (ConnectionError, TimeoutError, socket.gaierror)
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True, slots=True)
class PushRequest:
    """What is to be uploaded, and where to.

    Args:
        folder: A finished run, an export or a merged model.
        repository: ``name/model`` on the hub; made if it is not there.
        private: Make it private; a public one that is there is refused then.
        revision: The branch; None is the default one.
        message: Of the commit; None for one that says what it is.
        base: The base model's id on the hub, where the run knows it by a folder.
    """

    folder: Path
    repository: str
    private: bool = False
    revision: str | None = None
    message: str | None = None
    base: str | None = None


@dataclass(frozen=True, slots=True)
class PushReport:
    """What was uploaded, or would be; the document of ``push --json``.

    Args:
        repository: On the hub.
        revision: The branch, or None for the default one.
        private: Whether it was asked to be private.
        files: Paths and sizes.
        url: Of the repository; None if nothing was uploaded.
        commit: The hash; None if nothing was uploaded.
    """

    repository: str
    revision: str | None
    private: bool
    files: tuple[Upload, ...]
    url: str | None = None
    commit: str | None = None

    @property
    def bytes(self) -> int:
        """Of all files."""
        return sum(file.bytes for file in self.files)

    def as_json(self) -> dict[str, Any]:
        """The fields of the contract."""
        return {
            "repository": self.repository,
            "revision": self.revision,
            "private": self.private,
            "files": [{"path": file.path, "bytes": file.bytes} for file in self.files],
            "bytes": self.bytes,
            "pushed": self.commit is not None,
            "url": self.url,
            "commit": self.commit,
        }


def plan_push(request: PushRequest) -> PushReport:
    """What would be uploaded, without asking the hub anything.

    Raises:
        ConfigError: If an option is wrong.
        RunError: If the folder is nothing of ours, not finished, damaged, or names a path of this machine.
    """
    for option, name in (("REPO-ID", request.repository), ("--base", request.base)):
        if name is not None and not _REPOSITORY.fullmatch(name):
            raise ConfigError(
                f"{option} is {name!r}; expected a name and a model, such as my-name/my-model.",
                hint="The name is that of your account, or of an organisation that you may write to.",
            )
    files = files_to_push(request.folder, request.repository, request.base)
    return PushReport(request.repository, request.revision, request.private, files)


def push(request: PushRequest) -> PushReport:
    """Upload a folder in one commit, to a repository that is made if it is not there.

    Raises:
        ConfigError: If an option is wrong, the hub may not be asked, or there is no access token.
        RunError: As :func:`plan_push`.
        OutputError: If the hub refuses.
    """
    plan = plan_push(request)
    from huggingface_hub import constants, get_token

    if constants.is_offline_mode():
        raise ConfigError(
            "HF_HUB_OFFLINE=1 forbids to upload anything.", hint="Unset HF_HUB_OFFLINE for this command."
        )
    token = get_token()
    if token is None:
        raise ConfigError(
            "There is no access token of the Hugging Face hub on this machine.",
            hint="Run `hf auth login`, or set HF_TOKEN, with a token that may write.",
        )
    try:
        return _upload(plan, request, token)
    except OutputError:
        raise
    except Exception as error:  # of the hub's library, of what it stands on, and of its storage
        raise _refused(request.repository, error, token) from error


def _upload(plan: PushReport, request: PushRequest, token: str) -> PushReport:
    from huggingface_hub import CommitOperationAdd, HfApi

    api, name = HfApi(token=token), request.repository
    url = api.create_repo(name, private=request.private or None, exist_ok=True)
    if request.private and not api.model_info(name).private:
        raise OutputError(
            f"The repository {name} is there already and is public, and --private was asked for; nothing was "
            "uploaded.",
            hint="Make it private on its page, choose another name, or leave --private out.",
        )
    if request.revision is not None:
        api.create_branch(name, branch=request.revision, exist_ok=True)
    operations = [
        CommitOperationAdd(file.path, file.content if isinstance(file.content, bytes) else str(file.content))
        for file in plan.files
    ]
    message = request.message or f"Upload {request.folder.absolute().name} with loretta"
    info = api.create_commit(name, operations, commit_message=message, revision=request.revision)
    return PushReport(name, request.revision, request.private, plan.files, str(url), info.oid)


def _refused(name: str, error: Exception, token: str) -> OutputError:
    """What the hub said, in a sentence; without the token, whoever put it there."""
    from huggingface_hub import constants, errors

    if isinstance(error, errors.HfHubHTTPError):
        status = error.response.status_code
        if status == 401:
            return OutputError(
                f"Cannot push to {name}: the hub does not accept your access token.",
                hint="Correct or unset HF_TOKEN, or run `hf auth login` again.",
            )
        if status == 403:
            return OutputError(
                f"Cannot push to {name}: your access token may not write there.",
                hint="Take a token with the right to write, and a name that is your account or organisation.",
            )
        reason = f"the hub answered with an error: {status} {error.server_message or ''}"
    elif any(isinstance(link, LOST_CONNECTIONS) for link in chain(error)):
        reason = f"the hub at {constants.ENDPOINT} cannot be reached"
    else:
        reason = str(error)
    said = " ".join(reason.split()).replace(token, "[token]").rstrip(" .")[:400]
    return OutputError(f"Cannot push to {name}: {said}.", hint="Try again later.")
