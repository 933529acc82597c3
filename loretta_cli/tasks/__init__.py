"""Tasks, one file each or one a family: columns, labels, prompts, metrics. A new one is a line here.

May import :mod:`registry` and :mod:`errors`; no torch, except :mod:`tasks.encoding` for its tensors.
"""

from __future__ import annotations

from loretta_cli.registry import Registry
from loretta_cli.tasks.base import Example, Prompt, Task
from loretta_cli.tasks.own import OWN

TASKS: Registry[Task] = Registry(
    "task",
    {
        "ag_news": "loretta_cli.tasks.ag_news:TASK",
        "boolq": "loretta_cli.tasks.boolq:TASK",
        "cb": "loretta_cli.tasks.entailment:CB",
        "cola": "loretta_cli.tasks.cola:TASK",
        "copa": "loretta_cli.tasks.copa:TASK",
        "drop": "loretta_cli.tasks.drop:TASK",
        "mnli": "loretta_cli.tasks.entailment:MNLI",
        "mr": "loretta_cli.tasks.reviews:MR",
        "mrpc": "loretta_cli.tasks.paraphrase:MRPC",
        "multirc": "loretta_cli.tasks.multirc:TASK",
        "qnli": "loretta_cli.tasks.entailment:QNLI",
        "qqp": "loretta_cli.tasks.paraphrase:QQP",
        "record": "loretta_cli.tasks.record:TASK",
        "rte": "loretta_cli.tasks.entailment:RTE",
        "snli": "loretta_cli.tasks.entailment:SNLI",
        "squad": "loretta_cli.tasks.squad:TASK",
        "squad_v2": "loretta_cli.tasks.squad_v2:TASK",
        "sst2": "loretta_cli.tasks.reviews:SST2",
        "sst5": "loretta_cli.tasks.reviews:SST5",
        "stsb": "loretta_cli.tasks.stsb:TASK",
        "trec": "loretta_cli.tasks.trec:TASK",
        "wic": "loretta_cli.tasks.wic:TASK",
        "wnli": "loretta_cli.tasks.entailment:WNLI",
        "wsc": "loretta_cli.tasks.wsc:TASK",
    },
)

__all__ = ["OWN", "TASKS", "Example", "Prompt", "Task", "check_task"]


def check_task(name: str) -> None:
    """Refuse an unknown task name.

    Raises:
        ConfigError: With the nearest name and all names.
    """
    if name not in OWN:
        Registry("task", dict.fromkeys((*OWN, *TASKS), "")).check(name)
