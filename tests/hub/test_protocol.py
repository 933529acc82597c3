"""The stand-in hub itself, where downloads do not show what it does."""

from __future__ import annotations

import json
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from tests.hub import Access, HubServer
from tests.hub.protocol import Answer, Protocol, Question
from tests.hub.repositories import Repository

WEIGHTS = b"0123456789"


def protocol(folder: Path, access: Access = "open") -> Protocol:
    """A hub with one model of a config, weights and a file in a folder."""
    for name, content in (("config.json", b"{}"), ("model.safetensors", WEIGHTS), ("more/a/b.txt", b"b")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    hub = Protocol(port=1)
    hub.repositories["models", "org/name"] = Repository("models", "org/name", access)
    hub.repositories["models", "org/name"].add(folder)
    hub.tokens = {"hf_member": {"org/name"}, "hf_reader": set()}
    return hub


def ask(hub: Protocol, target: str, method: str = "GET", body: bytes = b"", **headers: str) -> Answer:
    return hub.answer(Question(method, target, headers, body))


def paths(answer: Answer) -> list[str]:
    entries: list[dict[str, Any]] = json.loads(answer.body)
    return [f"{entry['type']} {entry['path']}" for entry in entries]


@pytest.mark.parametrize(
    ("wanted", "status", "content", "said"),
    [
        ("bytes=2-4", 206, b"234", "bytes 2-4/10"),
        ("bytes=7-", 206, b"789", "bytes 7-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=8-99", 206, b"89", "bytes 8-9/10"),
        ("bytes=10-", 416, b"", "bytes */10"),
        ("", 200, WEIGHTS, None),
    ],
)
def test_a_part_of_a_file_is_given(
    tmp_path: Path, wanted: str, status: int, content: bytes, said: str | None
) -> None:
    hub = protocol(tmp_path)
    etag = ask(hub, "/org/name/resolve/main/model.safetensors").headers["X-Linked-ETag"].strip('"')

    answer = ask(hub, f"/storage/{etag}", Range=wanted)

    assert (answer.status, answer.body) == (status, content)
    assert answer.headers.get("Content-Range") == said


def test_the_storage_of_large_files_refuses_the_token_of_the_hub(tmp_path: Path) -> None:
    hub = protocol(tmp_path)
    location = ask(hub, "/org/name/resolve/main/model.safetensors").headers["Location"]
    assert location.startswith("http://localhost:1/storage/")

    path = location.removeprefix("http://localhost:1")
    assert ask(hub, path, Authorization="Bearer hf_member").status == 400
    assert ask(hub, "/storage/" + "0" * 64).status == 404


def test_nothing_offers_xet(tmp_path: Path) -> None:
    hub = protocol(tmp_path)
    answers = [ask(hub, f"/org/name/resolve/main/{name}") for name in ("config.json", "model.safetensors")]

    assert not [name for answer in answers for name in answer.headers if "xet" in name.lower()]
    assert not [answer for answer in answers if "xet" in str(answer.headers).lower()]


def test_a_tree_is_listed_by_folder_or_whole(tmp_path: Path) -> None:
    hub = protocol(tmp_path)
    top = ["directory more", "file config.json", "file model.safetensors"]

    assert paths(ask(hub, "/api/models/org/name/tree/main")) == top
    assert paths(ask(hub, "/api/models/org/name/tree/main/more")) == ["directory more/a"]
    whole = paths(ask(hub, "/api/models/org/name/tree/main?recursive=true"))
    assert whole == ["directory more", "directory more/a", *top[1:], "file more/a/b.txt"]
    assert ask(hub, "/api/models/org/name/tree/main/none").headers["X-Error-Code"] == "EntryNotFound"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"paths=config.json&paths=more&paths=none&expand=False", "application/x-www-form-urlencoded"),
        (b'{"paths": ["config.json", "more", "none"]}', "application/json"),
    ],
)
def test_paths_are_told_of_in_both_encodings(tmp_path: Path, body: bytes, kind: str) -> None:
    question = Question("POST", "/api/models/org/name/paths-info/main", {"Content-Type": kind}, body)

    assert paths(protocol(tmp_path).answer(question)) == ["file config.json", "directory more"]


@pytest.mark.parametrize(
    ("access", "token", "status", "code"),
    [
        ("open", "", 307, None),
        ("open", "hf_wrong", 401, None),
        ("gated", "", 401, "GatedRepo"),
        ("gated", "hf_reader", 403, "GatedRepo"),
        ("gated", "hf_member", 307, None),
        ("private", "", 401, "RepoNotFound"),
        ("private", "hf_reader", 404, "RepoNotFound"),
        ("private", "hf_member", 307, None),
    ],
)
def test_who_may_read_a_file(
    tmp_path: Path, access: Access, token: str, status: int, code: str | None
) -> None:
    headers = {"Authorization": f"Bearer {token}"} if token else {}

    answer = ask(protocol(tmp_path, access), "/org/name/resolve/main/config.json", **headers)

    assert (answer.status, answer.headers.get("X-Error-Code")) == (status, code)


def test_a_revision_is_a_name_or_a_whole_hash(tmp_path: Path) -> None:
    hub = protocol(tmp_path)
    sha = ask(hub, "/org/name/resolve/main/config.json").headers["X-Repo-Commit"]

    assert json.loads(ask(hub, f"/api/models/org/name/revision/{sha}").body)["sha"] == sha
    for wrong in (sha[:7], "0" * 40, "v9"):
        answer = ask(hub, f"/api/models/org/name/revision/{wrong}")
        assert (answer.status, answer.headers["X-Error-Code"]) == (404, "RevisionNotFound")


def test_a_missing_file_is_told_with_the_commit_that_lacks_it(tmp_path: Path) -> None:
    answer = ask(protocol(tmp_path), "/org/name/resolve/main/none.json")

    assert (answer.status, answer.headers["X-Error-Code"]) == (404, "EntryNotFound")
    assert len(answer.headers["X-Repo-Commit"]) == 40


def test_what_it_does_not_understand_is_kept() -> None:
    with HubServer() as hub:
        for method, target in (("GET", "/api/spaces/org/name"), ("CONNECT", "elsewhere.example:443")):
            connection = HTTPConnection(hub.address.removeprefix("http://"))
            connection.request(method, target)
            assert connection.getresponse().status >= 400
            connection.close()

        assert hub.strange == ["/api/spaces/org/name", "elsewhere.example:443"]


def test_a_hub_that_is_gone_refuses_connections_and_comes_back() -> None:
    with HubServer() as hub:
        with hub.gone(), pytest.raises(ConnectionRefusedError):
            HTTPConnection(hub.address.removeprefix("http://")).connect()
        connection = HTTPConnection(hub.address.removeprefix("http://"))
        connection.connect()
        connection.close()
