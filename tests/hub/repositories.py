"""What the stand-in hub holds: repositories whose revisions are folders, and who may read them.

Imports only the standard library.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

Access = Literal["open", "gated", "private"]
LARGE = (".safetensors", ".bin", ".parquet")
"""Files that the hub keeps in its large-file storage: named by SHA-256, served by another host."""


@dataclass(frozen=True, slots=True)
class File:
    """A file of a revision.

    Args:
        path: Inside the repository.
        place: On this machine.
    """

    path: str
    place: Path

    @property
    def is_large(self) -> bool:
        """Whether it is in the large-file storage."""
        return self.path.endswith(LARGE)

    @property
    def etag(self) -> str:
        """SHA-256 of a large file, git's blob hash of any other."""
        return _sha256(self.place) if self.is_large else self.oid

    @property
    def oid(self) -> str:
        """Git's hash of the file; of its pointer, for a large one."""
        content = self.place.read_bytes()
        if self.is_large:
            content = f"oid sha256:{_sha256(self.place)}\nsize {len(content)}\n".encode()
        return hashlib.sha1(b"blob %d\0%b" % (len(content), content)).hexdigest()

    def as_json(self) -> dict[str, Any]:
        """An entry of a tree listing."""
        size = self.place.stat().st_size
        entry = {"type": "file", "oid": self.oid, "size": size, "path": self.path}
        storage = {"lfs": {"oid": self.etag, "size": size, "pointerSize": 130}}
        return entry | (storage if self.is_large else {})


@dataclass(frozen=True, slots=True)
class Commit:
    """One state of a repository: its hash and its files by path."""

    sha: str
    files: dict[str, File]

    def below(self, folder: str, *, recursive: bool) -> list[dict[str, Any]] | None:
        """Entries of a tree listing; None where there is no such folder."""
        prefix = f"{folder}/" if folder else ""
        inside = {path[len(prefix) :]: file for path, file in self.files.items() if path.startswith(prefix)}
        if folder and not inside:
            return None
        parts = [path.split("/") for path in inside]
        folders = {"/".join(names[:depth]) for names in parts for depth in range(1, len(names))}
        entries = [self._folder(prefix + name) for name in sorted(folders) if recursive or "/" not in name]
        return entries + [file.as_json() for path, file in inside.items() if recursive or "/" not in path]

    def at(self, path: str) -> dict[str, Any] | None:
        """The entry of one file or folder; None where there is neither."""
        if path in self.files:
            return self.files[path].as_json()
        return self._folder(path) if any(name.startswith(f"{path}/") for name in self.files) else None

    @staticmethod
    def _folder(path: str) -> dict[str, Any]:
        return {"type": "directory", "oid": hashlib.sha1(path.encode()).hexdigest(), "size": 0, "path": path}


@dataclass
class Repository:
    """A model or a data set.

    Args:
        kind: Of the two.
        id: ``org/name``.
        access: ``gated`` shows what there is and gives files only to tokens that were let in; ``private``
            looks to all others as if it did not exist.
        commits: By the name of the branch or tag.
    """

    kind: Literal["models", "datasets"]
    id: str
    access: Access = "open"
    commits: dict[str, Commit] = field(default_factory=dict)

    def add(self, folder: Path, revision: str = "main") -> str:
        """Make a folder's present files a branch or tag; returns the commit's hash."""
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        files = {name: File(name, path) for path in paths for name in [path.relative_to(folder).as_posix()]}
        listing = [self.id, *(f"{path} {file.etag}" for path, file in files.items())]
        sha = hashlib.sha1("\n".join(listing).encode()).hexdigest()
        self.commits[revision] = Commit(sha, files)
        return sha

    def commit(self, revision: str) -> Commit | None:
        """A branch, a tag, or a whole commit hash."""
        if re.fullmatch(r"[0-9a-f]{40}", revision):
            return next((commit for commit in self.commits.values() if commit.sha == revision), None)
        return self.commits.get(revision)

    def as_json(self, commit: Commit) -> dict[str, Any]:
        """What the hub tells of a repository at a revision."""
        return {
            "_id": hashlib.sha1(self.id.encode()).hexdigest()[:24],
            "id": self.id,
            "author": self.id.partition("/")[0],
            "sha": commit.sha,
            "lastModified": "2026-01-01T00:00:00.000Z",
            "createdAt": "2026-01-01T00:00:00.000Z",
            "private": self.access == "private",
            "gated": "manual" if self.access == "gated" else False,
            "disabled": False,
            "downloads": 0,
            "likes": 0,
            "tags": [],
            "siblings": [{"rfilename": path} for path in commit.files],
        }


@cache
def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
