"""Mistral: the modules of LLaMA. A head may be wider than its share of the model (Mistral Nemo)."""

from __future__ import annotations

from dataclasses import replace

from loretta_cli.models.families import llama

FAMILY = replace(llama.FAMILY, name="mistral", model_types=("mistral",))
