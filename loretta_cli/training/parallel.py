"""Several processes on one model: the trained numbers on every one of them, the base whole or in parts.

Only 10^4 to 10^6 numbers train. Their gradients travel in one piece after the backward pass, and no wrapper
stands around the model. The frozen base is whole on every process, or divided among them by torch's FSDP2
(``fully_shard``): then each process keeps a part of every weight and fetches the rest of a block while it
computes that block. What the adapter saves is never divided, so checkpoints are the same in both cases.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import torch
import torch.distributed as dist
from peft import PeftModel, get_peft_model_state_dict
from torch import nn
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor

from loretta_cli.config import Config
from loretta_cli.errors import ConfigError, RunError
from loretta_cli.numerals import counted
from loretta_cli.processes import own_device, processes

LAUNCHER_ASKS = "ACCELERATE_USE_FSDP"
"""Set by ``accelerate launch`` where its configuration says ``distributed_type: FSDP``."""


def asked_to_shard(config: Config) -> bool:
    """Whether the base is to be divided: by the setting, or by the launcher's configuration.

    accelerate's own FSDP is switched off: it would divide the adapter too. One process divides nothing.

    Raises:
        ConfigError: If what is asked for is not done here.
    """
    by_launcher = os.environ.get(LAUNCHER_ASKS, "false").lower() in ("true", "1")
    if by_launcher and config.training.gradient == "zo":
        raise ConfigError(
            "The launcher asks for FSDP, but zeroth-order training does not divide the base among processes: "
            "each evaluates queries of its own.",
            hint="Start it with torchrun, or accelerate launch without FSDP.",
        )
    if by_launcher:
        _check_launcher()
        os.environ[LAUNCHER_ASKS] = "false"
        # Otherwise transformers loads weights on the first process only, and leaves the rest to accelerate.
        os.environ["FSDP_CPU_RAM_EFFICIENT_LOADING"] = "false"
    if not (by_launcher or config.training.shard_base) or processes().count == 1:
        return False
    if config.model.quantization is not None:
        raise ConfigError(
            f"A base in {config.model.quantization} cannot be divided among processes.",
            hint="Drop model.quantization or the division (training.shard_base, the launcher's FSDP).",
        )
    return True


def _check_launcher() -> None:
    version = os.environ.get("FSDP_VERSION", "1")
    if version != "2":
        raise ConfigError(
            f"The launcher asks for FSDP version {version}; expected version 2.",
            hint="Set fsdp_version: 2 in the accelerate configuration, as recipes/accelerate/fsdp.yaml does.",
        )
    if os.environ.get("FSDP_OFFLOAD_PARAMS", "false").lower() == "true":
        raise ConfigError(
            "The launcher asks FSDP to keep weights in RAM (fsdp_offload_params), which does not work here.",
            hint="Set fsdp_offload_params: false in the accelerate configuration.",
        )


def shard_base(model: PeftModel) -> None:
    """Divide the frozen base among the processes, block by block; what the adapter saves stays whole.

    Each process must hold the whole model when this is called; a block is moved to the GPU when its turn
    comes and only a part of it stays there.
    """
    from torch.distributed.device_mesh import init_device_mesh

    device = own_device()
    mesh = init_device_mesh(device.type, (processes().count,))
    whole = _kept_whole(model)
    for parameter in whole:
        parameter.data = parameter.data.to(device)
    for block in _blocks(model):
        fully_shard(block, mesh=mesh, ignored_params=whole)
    fully_shard(model, mesh=mesh, ignored_params=whole)
    register_fsdp_forward_method(model, "generate")


def _kept_whole(model: PeftModel) -> set[nn.Parameter]:
    """The parameters that train, and those that the adapter saves though they do not."""
    saved = get_peft_model_state_dict(
        model, state_dict=model.state_dict(keep_vars=True), save_embedding_layers=False
    )
    frozen = {value for value in saved.values() if isinstance(value, nn.Parameter)}
    return frozen | {parameter for parameter in model.parameters() if parameter.requires_grad}


def _blocks(model: PeftModel) -> list[nn.Module]:
    """The blocks of the network: what transformers names as not to be split, or the members of its lists."""
    base = model.get_base_model()
    names = set(getattr(base, "_no_split_modules", None) or ())
    blocks = [module for module in base.modules() if type(module).__name__ in names]
    if blocks:
        return blocks
    return [
        block for layers in base.modules() if isinstance(layers, nn.ModuleList) for block in layers.children()
    ]


def state_to_save(model: nn.Module) -> dict[str, torch.Tensor] | None:
    """The whole tensors of a model in parts, or None if it is not in parts.

    PEFT would fetch the parts of the base before it drops them.
    """
    if not isinstance(model, FSDPModule):
        return None
    return {name: value for name, value in model.state_dict().items() if not isinstance(value, DTensor)}


def make_equal(model: nn.Module) -> None:
    """Give every process the first one's trained parameters and buffers."""
    values = [parameter.data for parameter in model.parameters() if parameter.requires_grad]
    with torch.no_grad():
        for value in (*values, *model.buffers()):
            # A buffer may be a view, which cannot be sent as it is.
            sent = value.contiguous()
            dist.broadcast(sent, src=0)
            value.copy_(sent)


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace the gradients of the trained parameters by their mean over the processes, in one piece.

    The sum is the same number, bit for bit, on every process. A parameter without a gradient anywhere keeps
    none, so that no optimizer moves it.
    """
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    present = torch.tensor([parameter.grad is not None for parameter in trained], dtype=torch.float32)
    gradients = [torch.zeros_like(one) if one.grad is None else one.grad for one in trained]
    flat = torch.cat([present.to(trained[0].device), *(one.reshape(-1).float() for one in gradients)])
    dist.all_reduce(flat)
    counts, *means = torch.split(flat, [len(trained), *(one.numel() for one in gradients)])
    for parameter, count, total in zip(trained, counts.tolist(), means, strict=True):
        if count:
            parameter.grad = (total / dist.get_world_size()).view_as(parameter).to(parameter.dtype)


def check_same_engine(checkpoint: Path, *, deepspeed: bool) -> None:
    """Refuse a checkpoint whose optimizer another engine wrote; Trainer would start a new one in silence.

    Raises:
        RunError: If DeepSpeed wrote it and does not train now, or the other way round, or if DeepSpeed
            wrote it with another number of processes.
    """
    by_deepspeed = not (checkpoint / "optimizer.pt").is_file()
    if by_deepspeed != deepspeed:
        raise RunError(
            f"The checkpoint {checkpoint} was written {'with' if by_deepspeed else 'without'} DeepSpeed, "
            f"and this process trains {'with' if deepspeed else 'without'} it.",
            hint="Resume the run with the launcher and configuration that it was started with.",
        )
    before, now = len(list(checkpoint.glob("rng_state*.pth"))), processes().count
    if deepspeed and before != now:
        raise RunError(
            f"DeepSpeed wrote the checkpoint {checkpoint} with {counted(before, 'process', 'processes')}; "
            f"found {now}.",
            hint=f"Resume the run with {counted(before, 'process', 'processes')}.",
        )
