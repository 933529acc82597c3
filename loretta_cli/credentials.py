"""Passwords and tokens in texts that are shown or kept. Imports nothing."""

from __future__ import annotations

import re

# One slash, too: pathlib makes one of two.
_IN_ADDRESS = re.compile(r"\b([A-Za-z][A-Za-z0-9+.-]+:/{1,3})[^/\s'\"]*@")
_TOKEN = re.compile(r"\b(hf|api_org)_[A-Za-z0-9]{20,}")
_HIDDEN = "***"


def without_credentials(text: str) -> str:
    """``text`` with ``***`` for what stands before the ``@`` of an address, and for tokens of the hub."""
    return _TOKEN.sub(rf"\1_{_HIDDEN}", _IN_ADDRESS.sub(rf"\1{_HIDDEN}@", text))


def has_credentials(text: str) -> bool:
    """Whether a text holds what :func:`without_credentials` takes out."""
    return without_credentials(text) != text
