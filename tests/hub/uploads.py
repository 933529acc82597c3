"""What is uploaded to the stand-in hub: large files kept until a commit names them, and commits.

Imports the repositories.
"""

from __future__ import annotations

import base64
import hashlib
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.hub.repositories import Repository


class Uploads:
    """The disk of the hub, in a temporary folder that is made when something is uploaded.

    Attributes:
        messages: Of the commits, first to last.
    """

    def __init__(self) -> None:
        self.messages: list[str] = []
        self._folder: Path | None = None

    def close(self) -> None:
        """Remove everything."""
        if self._folder is not None:
            shutil.rmtree(self._folder)
            self._folder = None

    def keep(self, oid: str, content: bytes) -> bool:
        """Take a large file; False if its SHA-256 is another one."""
        if hashlib.sha256(content).hexdigest() != oid:
            return False
        self._place(f"large/{oid}").write_bytes(content)
        return True

    def commit(self, repository: Repository, revision: str, entries: Sequence[dict[str, Any]]) -> str | None:
        """Put files into a branch, beside those that are there.

        Args:
            repository: Whose it is.
            revision: The branch.
            entries: The lines of the hub's commit: ``header``, ``file``, ``lfsFile``.

        Returns:
            The commit's hash; None if a large file is missing.
        """
        number = len(self.messages)
        folder = self._place(f"commits/{number}/README.md").parent
        before = repository.commits.get(revision)
        for path, file in before.files.items() if before else ():
            shutil.copyfile(file.place, self._place(f"commits/{number}/{path}"))
        for entry in entries:
            value = entry["value"]
            if entry["key"] == "header":
                continue
            place = self._place(f"commits/{number}/{value['path']}")
            if entry["key"] == "file":
                place.write_bytes(base64.b64decode(value["content"]))
                continue
            large = self._place(f"large/{value['oid']}")
            if not large.is_file():
                return None
            shutil.copyfile(large, place)
        self.messages.append(entries[0]["value"]["summary"] if entries else "initial commit")
        return repository.add(folder, revision)

    def _place(self, path: str) -> Path:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="stand-in-hub."))
        place = self._folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        return place
