"""A stand-in for the Hugging Face hub on this machine: repositories of folders, served over plain HTTP."""

from tests.hub.repositories import Access, Repository
from tests.hub.server import HubServer, Request
from tests.hub.session import Session

__all__ = ["Access", "HubServer", "Repository", "Request", "Session"]
