"""``loretta env``: what a bug report should say."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from rich.filesize import decimal

from loretta_cli import __version__
from loretta_cli.cli import options
from loretta_cli.cli.shell import command

EPILOG = options.examples("loretta env", "loretta env --json")
WIDTH = 80
NAMES = 11
"""Characters of the first column."""


def env(json: options.Json = False) -> None:
    """Show versions, machine, extras and settings of the environment, to paste into a bug report.

    Of tokens, keys and proxies only whether they are set is shown; the home folder is written as ~.
    """
    environ = dict(os.environ)  # as the user has it: what follows sets some variables itself
    with command(json=json) as reporter:
        from loretta_cli.measure.bug_report import describe_installation

        found = describe_installation(environ, __version__)
        for name, parts in _lines(found):
            reporter.line(_wrapped(name, parts))
        reporter.result(found)


def _lines(found: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """The name of each line, and its parts."""
    python, cpu, memory = found["python"], found["cpu"], found["memory"]
    cores = [f"{cpu['count']} cores", *([] if cpu["usable"] == cpu["count"] else [f"{cpu['usable']} usable"])]
    free, total = decimal(memory["free_bytes"]), decimal(memory["total_bytes"])
    return [
        ("loretta", [f"{found['loretta']['version']} in {found['loretta']['folder']}"]),
        ("python", [f"{python['version']} ({python['implementation']}) in {python['prefix']}"]),
        ("platform", [found["platform"]]),
        ("cpu", [cpu["name"], *cores]),
        ("memory", [f"{free} free of {total} {memory['name']}"]),
        *_of_torch(found["torch"]),
        ("packages", [_of_package(name, one) for name, one in found["packages"].items()]),
        ("extras", [_of_extra(one) for one in found["extras"]] or ["unknown: the package is not installed"]),
        ("variables", _of_variables(found["variables"])),
        ("hub", _of_hub(found["hub"])),
    ]


def _of_torch(torch: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    if torch["error"] is not None:
        return [("torch", [f"cannot be imported: {torch['error']}"])]
    build = f"CUDA {torch['cuda']}" if torch["cuda"] else f"ROCm {torch['hip']}" if torch["hip"] else "CPU"
    gpus = [
        f"{gpu['name']}, {decimal(gpu['free_bytes'])} free of {decimal(gpu['total_bytes'])}, "
        f"capability {gpu['capability']}"
        for gpu in torch["gpus"]
    ]
    return [("torch", [f"built for {build}", f"{torch['threads']} threads"]), ("gpu", gpus or ["none"])]


def _of_package(name: str, package: Mapping[str, Any]) -> str:
    version = package["version"]
    if version is None:
        return f"{name} is missing (needed: {package['needs'] or 'any'})"
    return f"{name} {version}" + ("" if package["fits"] else f" (needed: {package['needs']})")


def _of_extra(extra: Mapping[str, Any]) -> str:
    return f"{extra['name']} lacks {' and '.join(extra['lacking'])}" if extra["lacking"] else extra["name"]


def _of_variables(variables: Mapping[str, Any]) -> list[str]:
    values = [f"{name}={value}" for name, value in variables["values"].items()]
    return [*values, *(f"{name} is set" for name in variables["secrets"])] or ["none that matter"]


def _of_hub(hub: Mapping[str, Any]) -> list[str]:
    token = {"variable": "token set", "file": "token in a file", None: "token not set"}[hub["token"]]
    there = "" if hub["cache_exists"] else "not made yet, "
    cache = f"cache {hub['cache']} ({there}{decimal(hub['cache_free_bytes'])} free)"
    return [cache, token, *(["offline"] if hub["offline"] else [])]


def _wrapped(name: str, parts: Sequence[str]) -> str:
    """A line, or several with the first column empty, none of them broken within a part."""
    lines = [name.ljust(NAMES)]
    for number, part in enumerate(parts, start=1):
        text = part if number == len(parts) else f"{part}, "
        if len(lines[-1]) + len(text.rstrip()) > WIDTH and len(lines[-1]) > NAMES:
            lines.append(" " * NAMES)
        lines[-1] += text
    return "\n".join(line.rstrip() for line in lines)
