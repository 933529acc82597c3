"""What the hub answers to a request: the part of its protocol that downloads and uploads use.

Small files are redirected inside the hub, large ones to another host (``localhost``), which refuses the
hub's token as a real storage does. Xet is never offered, so that all comes over plain HTTP; a process that
uploads needs HF_HUB_DISABLE_XET=1. Imports the repositories and the uploads.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from tests.hub.repositories import LARGE, Access, Commit, File, Repository
from tests.hub.uploads import Uploads

_KIND = r"/(?P<kind>models|datasets)"
_NAME = r"/(?P<name>[\w.-]+/[\w.-]+)"
_REVISION = r"/(?P<revision>[^/]+)"
_PATH = r"/(?P<path>.+)"
_ROUTES = {
    rf"/api{_KIND}{_NAME}(/revision{_REVISION})?": "_info",
    rf"/api{_KIND}{_NAME}/auth-check": "_may_read",
    rf"/api{_KIND}{_NAME}/tree{_REVISION}({_PATH})?": "_tree",
    rf"/api{_KIND}{_NAME}/paths-info{_REVISION}": "_paths",
    rf"/api/resolve-cache{_KIND}{_NAME}{_REVISION}{_PATH}": "_small_file",
    rf"/(?P<kind>datasets){_NAME}/resolve{_REVISION}{_PATH}": "_file",
    rf"{_NAME}/resolve{_REVISION}{_PATH}": "_file",
    r"/storage/(?P<etag>[0-9a-f]{64})": "_large_file",
    r"/api/validate-yaml": "_check_card",
    r"/api/repos/create": "_create",
    rf"/api/(?P<kind>models){_NAME}/branch{_REVISION}": "_branch",
    rf"/api/(?P<kind>models){_NAME}/preupload{_REVISION}": "_upload_modes",
    rf"/api/(?P<kind>models){_NAME}/commit{_REVISION}": "_commit",
    r"/(?P<name>[\w.-]+/[\w.-]+)\.git/info/lfs/objects/batch": "_places",
    r"/storage/new/(?P<oid>[0-9a-f]{64})": "_keep",
}
_VIEWER = re.compile(r"http://datasets-server\.[^/]+/(info|parquet)\?.*")


@dataclass(frozen=True, slots=True)
class Question:
    """A request as it came.

    Args:
        method: Of HTTP.
        target: Path and query; the whole address where another host is asked for.
        headers: By name, in any case.
        body: Of a POST.
    """

    method: str
    target: str
    headers: Mapping[str, str] | Message
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, headers and a body; ``known`` is False where the question was not understood."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    known: bool = True


class _Refusal(Exception):
    def __init__(self, status: int, code: str, message: str, commit: Commit | None = None) -> None:
        super().__init__(message)
        headers = {"X-Error-Message": message} | ({"X-Error-Code": code} if code else {})
        headers |= {"X-Repo-Commit": commit.sha} if commit else {}
        self.answer = _json({"error": message}, status, headers)


class Protocol:
    """Answers for a set of repositories.

    Args:
        port: Of the server, for addresses of large files.

    Attributes:
        repositories: By kind and id.
        tokens: Every valid token, with the ids of the gated and private repositories that it may read.
        writers: Tokens with the accounts that they may write to.
        uploads: What was uploaded.
    """

    def __init__(self, port: int) -> None:
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.tokens: dict[str, set[str]] = {}
        self.writers: dict[str, str] = {}
        self.uploads = Uploads()
        self._port = port

    def answer(self, question: Question) -> Answer:
        """Answer a question; one that is not understood gets 404, one for another host 502."""
        if _VIEWER.fullmatch(question.target):
            return _json({"error": "The dataset viewer does not have it."}, HTTPStatus.NOT_FOUND)
        if question.method == "CONNECT" or not question.target.startswith("/"):
            return Answer(HTTPStatus.BAD_GATEWAY, known=False)
        path = urlsplit(question.target).path
        for pattern, name in _ROUTES.items():
            if found := re.fullmatch(pattern, path):
                asked = {key: unquote(value or "") for key, value in found.groupdict().items()}
                try:
                    answer: Answer = getattr(self, name)(question, **asked)
                except _Refusal as refusal:
                    return refusal.answer
                return answer
        return Answer(HTTPStatus.NOT_FOUND, known=False)

    def _info(self, question: Question, kind: str, name: str, revision: str) -> Answer:
        repository, commit = self._find(question, kind, name, revision or "main")
        return _json(repository.as_json(commit))

    def _may_read(self, question: Question, kind: str, name: str) -> Answer:
        repository, _ = self._find(question, kind, name, "main")
        self._check_terms(question, repository)
        return _json({})

    def _tree(self, question: Question, kind: str, name: str, revision: str, path: str) -> Answer:
        _, commit = self._find(question, kind, name, revision)
        recursive = parse_qs(urlsplit(question.target).query).get("recursive", ["false"])[0].lower() == "true"
        entries = commit.below(path, recursive=recursive)
        if entries is None:
            raise _Refusal(HTTPStatus.NOT_FOUND, "EntryNotFound", f"{path} does not exist", commit)
        return _json(entries)

    def _paths(self, question: Question, kind: str, name: str, revision: str) -> Answer:
        _, commit = self._find(question, kind, name, revision)
        is_json = "json" in question.headers.get("Content-Type", "")
        asked = json.loads(question.body) if is_json else parse_qs(question.body.decode())
        return _json([entry for path in asked["paths"] if (entry := commit.at(path)) is not None])

    def _file(self, question: Question, name: str, revision: str, path: str, kind: str = "models") -> Answer:
        repository, commit = self._find(question, kind, name, revision)
        file = self._readable(question, repository, commit, path)
        if file.is_large:
            status, location = HTTPStatus.FOUND, f"http://localhost:{self._port}/storage/{file.etag}"
        else:
            location = quote(f"/api/resolve-cache/{kind}/{name}/{commit.sha}/{path}")
            status = HTTPStatus.TEMPORARY_REDIRECT
        headers = {
            "Location": location,
            "X-Repo-Commit": commit.sha,
            "X-Linked-ETag": f'"{file.etag}"',
            "X-Linked-Size": str(file.place.stat().st_size),
        }
        return Answer(status, headers=headers)

    def _small_file(self, question: Question, kind: str, name: str, revision: str, path: str) -> Answer:
        repository, commit = self._find(question, kind, name, revision)
        return _content(question, self._readable(question, repository, commit, path), commit)

    def _large_file(self, question: Question, etag: str) -> Answer:
        if "Authorization" in question.headers:
            return Answer(HTTPStatus.BAD_REQUEST, b"Only one auth mechanism allowed")
        commits = [commit for one in self.repositories.values() for commit in one.commits.values()]
        files = [file for commit in commits for file in commit.files.values()]
        found = next((file for file in files if file.is_large and file.etag == etag), None)
        return Answer(HTTPStatus.NOT_FOUND) if found is None else _content(question, found)

    def _check_card(self, question: Question) -> Answer:
        """Refuses a base model that is none of the hub, as the hub does."""
        named = re.search(r"(?m)^base_model: (.*)$", json.loads(question.body)["content"])
        if named is None or re.fullmatch(r"[\w-][\w.-]*(/[\w.-]+)?", named[1]):
            return _json({"errors": [], "warnings": []})
        error = {"message": f'"base_model" with value "{named[1]}" is not valid.'}
        return _json({"errors": [error], "warnings": []}, HTTPStatus.BAD_REQUEST)

    def _create(self, question: Question) -> Answer:
        asked = json.loads(question.body)
        name = f"{asked['organization']}/{asked['name']}"
        self._check_writer(question, name)
        url = f"http://127.0.0.1:{self._port}/{name}"
        if ("models", name) in self.repositories:
            told = {"error": "You already created this model repo", "url": url}
            return _json(told, HTTPStatus.CONFLICT)
        access: Access = "private" if asked.get("visibility") == "private" else "open"
        self.repositories["models", name] = Repository("models", name, access)
        self.tokens[self._token(question) or ""].add(name)
        self.uploads.commit(self.repositories["models", name], "main", [])
        return _json({"url": url, "name": name, "id": name})

    def _branch(self, question: Question, kind: str, name: str, revision: str) -> Answer:
        repository, commit = self._find(question, kind, name, "main")
        self._check_writer(question, name)
        if revision in repository.commits:
            raise _Refusal(HTTPStatus.CONFLICT, "", "Reference already exists")
        repository.commits[revision] = commit
        return _json({})

    def _upload_modes(self, question: Question, kind: str, name: str, revision: str) -> Answer:
        _, commit = self._find(question, kind, name, revision)
        self._check_writer(question, name)
        asked = [file["path"] for file in json.loads(question.body)["files"]]
        modes = {path: "lfs" if path.endswith(LARGE) else "regular" for path in asked}
        etags = {path: file.etag for path, file in commit.files.items()}
        files = [
            {"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": etags.get(path)}
            for path, mode in modes.items()
        ]
        return _json({"files": files})

    def _places(self, question: Question, name: str) -> Answer:
        """Where large files are to be put: on another host."""
        self._check_writer(question, name)
        place = f"http://localhost:{self._port}/storage/new/"
        objects = [
            {**asked, "actions": {"upload": {"href": place + asked["oid"]}}}
            for asked in json.loads(question.body)["objects"]
        ]
        return _json({"transfer": "basic", "objects": objects})

    def _keep(self, question: Question, oid: str) -> Answer:
        if "Authorization" in question.headers:
            return Answer(HTTPStatus.BAD_REQUEST, b"Only one auth mechanism allowed")
        kept = self.uploads.keep(oid, question.body)
        return Answer(HTTPStatus.OK if kept else HTTPStatus.BAD_REQUEST)

    def _commit(self, question: Question, kind: str, name: str, revision: str) -> Answer:
        repository, _ = self._find(question, kind, name, revision)
        self._check_writer(question, name)
        entries = [json.loads(line) for line in question.body.splitlines()]
        sha = self.uploads.commit(repository, revision, entries)
        if sha is None:
            raise _Refusal(HTTPStatus.BAD_REQUEST, "", "A file that was announced was not uploaded")
        url = f"http://127.0.0.1:{self._port}/{name}/commit/{sha}"
        return _json({"success": True, "commitOid": sha, "commitUrl": url})

    def _check_writer(self, question: Question, name: str) -> None:
        """Refuse a token that may not write to an account."""
        token = self._token(question)
        if token is None:
            raise _Refusal(HTTPStatus.UNAUTHORIZED, "", "Invalid username or password.")
        if self.writers.get(token) != name.partition("/")[0]:
            raise _Refusal(HTTPStatus.FORBIDDEN, "", "You don't have the rights to create a model there")

    def _find(self, question: Question, kind: str, name: str, revision: str) -> tuple[Repository, Commit]:
        """A repository that the asker may know of, at a revision."""
        token = self._token(question)
        repository = self.repositories.get((kind, name))
        if repository is None or (repository.access == "private" and not self._is_member(question, name)):
            if token is None:
                # The hub sends no code here: the library knows the case by an address with https.
                raise _Refusal(HTTPStatus.UNAUTHORIZED, "RepoNotFound", "Invalid username or password.")
            raise _Refusal(HTTPStatus.NOT_FOUND, "RepoNotFound", "Repository not found")
        commit = repository.commit(revision)
        if commit is None:
            raise _Refusal(HTTPStatus.NOT_FOUND, "RevisionNotFound", f"Invalid rev id: {revision}")
        return repository, commit

    def _readable(self, question: Question, repository: Repository, commit: Commit, path: str) -> File:
        """A file that the asker may read."""
        self._check_terms(question, repository)
        if path not in commit.files:
            raise _Refusal(HTTPStatus.NOT_FOUND, "EntryNotFound", "Entry not found", commit)
        return commit.files[path]

    def _check_terms(self, question: Question, repository: Repository) -> None:
        """Refuse who has not accepted the terms of a gated repository."""
        name = repository.id
        if repository.access != "gated" or self._is_member(question, name):
            return
        if self._token(question) is None:
            sentence = f"Access to {name} is restricted. You must be authenticated to access it."
            raise _Refusal(HTTPStatus.UNAUTHORIZED, "GatedRepo", sentence)
        sentence = f"Access to {name} is restricted and you are not in the authorized list."
        raise _Refusal(HTTPStatus.FORBIDDEN, "GatedRepo", sentence)

    def _token(self, question: Question) -> str | None:
        token = question.headers.get("Authorization", "").removeprefix("Bearer ")
        if token and token not in self.tokens:
            sentence = "Invalid credentials in Authorization header"
            raise _Refusal(HTTPStatus.UNAUTHORIZED, "", sentence)
        return token or None

    def _is_member(self, question: Question, name: str) -> bool:
        token = self._token(question)
        return token is not None and name in self.tokens[token]


def _json(value: Any, status: int = HTTPStatus.OK, headers: dict[str, str] | None = None) -> Answer:
    return Answer(status, json.dumps(value).encode(), {"Content-Type": "application/json"} | (headers or {}))


def _content(question: Question, file: File, commit: Commit | None = None) -> Answer:
    """A file, or the part of it that was asked for."""
    content = file.place.read_bytes()
    headers = {"ETag": f'"{file.etag}"', "Accept-Ranges": "bytes", "Content-Type": "application/octet-stream"}
    headers |= {"X-Repo-Commit": commit.sha} if commit else {}
    asked = re.fullmatch(r"bytes=(\d*)-(\d*)", question.headers.get("Range", ""))
    if asked is None or not any(asked.groups()):
        return Answer(HTTPStatus.OK, content, headers)
    size = len(content)
    first = int(asked[1]) if asked[1] else max(0, size - int(asked[2]))
    last = min(int(asked[2]), size - 1) if asked[1] and asked[2] else size - 1
    if first > last:
        status = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
        return Answer(status, headers=headers | {"Content-Range": f"bytes */{size}"})
    part = headers | {"Content-Range": f"bytes {first}-{last}/{size}"}
    return Answer(HTTPStatus.PARTIAL_CONTENT, content[first : last + 1], part)
