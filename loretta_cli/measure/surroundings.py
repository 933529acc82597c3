"""What surrounds a command and changes what it does: environment variables, and the hub's cache.

Of a variable that holds a secret nothing but its being set is told; others are told only if they are listed
here. Imports no torch.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loretta_cli.measure.machine import free_disk

TOLD = (
    *("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE", "HF_HOME", "HF_HUB_CACHE"),
    *("HF_DATASETS_CACHE", "HF_ENDPOINT", "XDG_CACHE_HOME", "TMPDIR"),
    *("CUDA_VISIBLE_DEVICES", "CUDA_LAUNCH_BLOCKING", "CUBLAS_WORKSPACE_CONFIG", "PYTORCH_ALLOC_CONF"),
    *("PYTORCH_CUDA_ALLOC_CONF", "HIP_VISIBLE_DEVICES", "TORCHDYNAMO_DISABLE", "NCCL_DEBUG"),
    *("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TOKENIZERS_PARALLELISM"),
    *("RANK", "LOCAL_RANK", "WORLD_SIZE", "ACCELERATE_CONFIG_FILE"),
    *("NO_COLOR", "FORCE_COLOR", "TERM", "COLUMNS", "TTY_INTERACTIVE", "TTY_COMPATIBLE", "MPLBACKEND"),
    *("PYTHONPATH", "PYTHONUTF8", "PYTHONIOENCODING", "PYTHONWARNINGS", "PYTHONHASHSEED"),
    *("LANG", "LC_ALL", "VIRTUAL_ENV", "CONDA_PREFIX"),
)
"""Variables whose values are told."""
SECRET = (
    *("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "WANDB_API_KEY"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"),
)
"""Variables of which only is told whether they are set; a proxy may hold a password."""
_PASSWORD = re.compile(r"(?<=//)[^/@\s]*@")


def describe_variables(environ: Mapping[str, str]) -> dict[str, Any]:
    """The variables that are set: ``values`` by name, and the names of the ``secrets``."""
    values = {name: in_home(_PASSWORD.sub("", environ[name])) for name in TOLD if name in environ}
    return {"values": values, "secrets": [name for name in SECRET if environ.get(name)]}


def describe_hub(environ: Mapping[str, str]) -> dict[str, Any]:
    """Where the hub's cache is and how much room is left there, and whether there is a token.

    Args:
        environ: The environment.
    """
    from huggingface_hub import constants

    cache = Path(constants.HF_HUB_CACHE)
    has_variable = any(environ.get(name) for name in SECRET[:2])
    return {
        "cache": in_home(str(cache)),
        "cache_exists": cache.is_dir(),
        "cache_free_bytes": free_disk(cache),
        "token": "variable" if has_variable else "file" if _is_file(constants.HF_TOKEN_PATH) else None,
        "offline": bool(constants.HF_HUB_OFFLINE),
    }


def in_home(text: str) -> str:
    """A path with ``~`` for the user's home folder, whose name is nobody's business."""
    home = os.path.expanduser("~")
    return re.sub(rf"{re.escape(home)}(?=[/\\:]|$)", "~", text) if len(home) > 1 else text


def _is_file(path: str) -> bool:
    try:
        return Path(path).is_file()
    except OSError:
        return False
