"""llama.cpp in a process of its own: JSON on stdin says what to load and to compute, stdout gets the answers.

Started by :mod:`loretta_cli.artifacts.engines.llama_cpp` as a script, so that a fault in C++ ends this
process only. Imports xllamacpp and nothing of this package.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
from typing import Any

ERRORS_ONLY = 1
FORCED = 1e4
"""Added to the logit of a token that is to be chosen; log-probabilities are reported without it."""
WHOLE_VOCABULARY = 10_000_000


def start(settings: dict[str, Any]) -> Any:
    """Load a model and its adapters: full precision in the cache, on the CPU.

    Args:
        settings: ``model`` and ``adapters`` (paths), ``context`` and ``threads``.
    """
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.verbosity = ERRORS_ONLY
    params.model.path = settings["model"]
    params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(path, 1.0) for path in settings["adapters"]]
    params.n_ctx = settings["context"]
    params.n_parallel = 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = settings["threads"]
    params.n_gpu_layers = 0
    params.fit_params = params.warmup = False
    params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.cache_ram_mib = 0
    params.offline = True
    # The server listens on a loopback port of its own choice; nobody else is to use it.
    params.api_keys = [secrets.token_hex(16)]
    params.cors_origins = ""
    params.endpoint_slots = params.ui = False
    return xllamacpp.Server(params)


def answer(server: Any, task: dict[str, Any]) -> list[int] | list[float]:
    """The tokens of a greedy continuation, or the log-probability of each token of an option.

    Args:
        server: From :func:`start`.
        task: ``prompt`` (text or tokens) and ``length``, or ``prompt`` (tokens) and ``option`` (tokens).
    """
    if "length" in task:
        told = _complete(server, task["prompt"], task["length"], verbose=True, return_tokens=True)
        tokens: list[int] = told["__verbose"]["tokens"]
        return tokens
    prompt, found = list(task["prompt"]), []
    for token in task["option"]:
        found.append(_score(server, prompt, token))
        prompt.append(token)
    return found


def _score(server: Any, prompt: list[int], token: int) -> float:
    """The log-probability of a token behind a prompt."""
    told = _complete(server, prompt, 1, n_probs=1, logit_bias=[[token, FORCED]])["choices"][0]["logprobs"]
    if told is None:
        # Nothing is reported of a token that ends within a character: another one is chosen, and all listed.
        told = _complete(server, prompt, 1, n_probs=WHOLE_VOCABULARY, logit_bias=[["a", FORCED]])
        entries = told["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
    else:
        entries = told["content"]
    for entry in entries:
        if entry["id"] == token:
            return float("nan") if entry["logprob"] is None else float(entry["logprob"])
    raise RuntimeError(f"llama.cpp reports nothing of token {token}")


def _complete(server: Any, prompt: str | list[int], length: int, **more: Any) -> dict[str, Any]:
    request = {"prompt": prompt, "n_predict": length, "temperature": 0.0, "seed": 0, **more}
    found: dict[str, Any] = server.handle_completions(request)
    if "choices" not in found:
        raise RuntimeError(found.get("error", {}).get("message", str(found)))
    return found


def main() -> None:
    """Read the request, write the answers."""
    # C++ writes to the standard output too: what is for the reader gets a channel of its own.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    request = json.load(sys.stdin)
    try:
        server = start(request["settings"])
        told: dict[str, Any] = {"answers": [answer(server, task) for task in request["tasks"]]}
        del server  # it ends its threads
    except Exception as error:  # to be told by the process that asked
        told = {"error": " ".join(str(error).split())}
    with answers:
        json.dump(told, answers)


if __name__ == "__main__":
    main()
