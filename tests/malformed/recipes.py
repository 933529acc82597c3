"""Malformed recipes: of every setting two values that no setting takes, and files that are no recipes."""

from __future__ import annotations

from collections.abc import Iterator

from loretta_cli.config.schema import setting_fields

NO_VALUE = ("{there: {is: [no, such]}}", "[[{value: 1}]]")
"""YAML of the wrong kind for every setting."""

NO_RECIPES = {
    "empty bytes of another coding": "model: {name: caf\u00e9}\n".encode("utf-16"),
    "latin-1": b"model: {name: caf\xe9}\n",
    "null bytes": b"model:\x00 name\n",
    "a list": b"- model\n- task\n",
    "a number": b"42\n",
    "a text": b"loretta\n",
    "an unclosed bracket": b"data: {columns: [text\n",
    "a tab as indentation": b"data:\n\tsource: x\n",
    "a key twice": b"task: {name: sst2}\ntask: {name: mnli}\n",
    "an alias to nothing": b"task: *nothing\n",
    "an alias to itself": b"task: &a [*a]\n",
    "many aliases": b"a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\ntask: *c\n",
    "two documents": b"task: {name: sst2}\n---\ntask: {name: mnli}\n",
    "a Python object": b"task: !!python/object/apply:os.system [echo]\n",
    "a Python name": b"task: {name: !!python/name:os.system }\n",
    "another tag": b"task: {name: !include other.yaml}\n",
    "deep nesting": b"task: " + b"[" * 3000 + b"]" * 3000 + b"\n",
    "a long number": b"training: {seed: " + b"9" * 5000 + b"}\n",
    "a key that is a list": b"? [a, b]\n: c\n",
    "a key that is null": b"~: c\n",
    "a dotted key": b"task.name: sst2\n",
    "an unknown section": b"modle: {name: x}\n",
    "an unknown setting": b"task: {nmae: sst2}\n",
    "not a number": b"training: {learning_rate: .nan}\n",
    "an infinite rate": b"training: {learning_rate: .inf}\n",
    "a negative rate": b"training: {learning_rate: -1}\n",
    "half a step": b"training: {max_steps: 1.5}\n",
    "no steps": b"training: {max_steps: 0}\n",
    "a rank of nothing": b"adapter: {tt_rank: 0}\n",
    "modes that do not multiply": b"adapter: {mode_shapes: {32x8: [3, 5]}}\n",
    "modes of no size": b"adapter: {mode_shapes: {wide: [3, 5]}}\n",
    "code of strangers": b"model: {trust_remote_code: true}\n",
    "a null section with a list": b"adapter: [rep]\n",
    "a prompt with an unknown column": b'task: {name: classification, prompt: "{nothing}"}\n',
    "a prompt with an open brace": b'task: {name: classification, prompt: "{text"}\n',
    "a prompt with an attribute": b'task: {name: classification, prompt: "{text.__class__}"}\n',
}


def malformed_recipes() -> Iterator[tuple[str, bytes]]:
    """Name and content of each."""
    yield from NO_RECIPES.items()
    for key in setting_fields():
        *sections, name = key.split(".")
        for number, value in enumerate(NO_VALUE):
            text = "".join(f"{'  ' * depth}{section}:\n" for depth, section in enumerate(sections))
            yield f"{key}, {number}", f"{text}{'  ' * len(sections)}{name}: {value}\n".encode()
