"""An Ollama ``Modelfile``: model, adapter, and the chat template where its text depends on neighbours only.

A jinja template cannot be translated in general. Here it is rendered with probe messages; the texts between
their contents make a Go template; further chats must come out the same, or there is no template.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

_ROLES = (
    *("u", "uau", "uauau"),
    *("su", "suau", "suauau"),
)
"""Chats to render, by the first letters of their roles; those with a system message last."""
_NAMES = {"s": "system", "u": "user", "a": "assistant"}


@dataclass(frozen=True, slots=True)
class ChatTexts:
    """What a chat template puts around contents.

    Args:
        first_user: Before a first message of the user.
        user_assistant: Between the two.
        assistant_user: Between the two.
        generation: Behind the last message of the user, where the model goes on.
        first_system: Before a system message; None where the template takes none.
        system_user: Between the two.
    """

    first_user: str
    user_assistant: str
    assistant_user: str
    generation: str
    first_system: str | None = None
    system_user: str = ""

    def render(self, roles: str, contents: Sequence[str]) -> str:
        """A chat that ends with the user.

        Args:
            roles: First letters.
            contents: As many.
        """
        between = {
            "us": self.first_system or "",
            "u": self.first_user,
            "su": self.system_user,
            "ua": self.user_assistant,
            "au": self.assistant_user,
        }
        before = ["us" if roles[0] == "s" else "u", *(roles[i : i + 2] for i in range(len(roles) - 1))]
        return "".join(between[one] + text for one, text in zip(before, contents, strict=True)) + (
            self.generation
        )


def chat_texts(tokenizer: Any) -> ChatTexts | None:
    """The texts of a tokenizer's chat template, or None where they do not tell all of it.

    A begin-of-text token that the tokenizer puts before every text is left out: llama.cpp adds it too.
    """
    rendered = {roles: _rendered(tokenizer, roles) for roles in _ROLES}
    without = _pieces(rendered["uau"], "uau")
    if without is None:
        return None
    found = ChatTexts(without[0], without[1], without[2], without[3])
    if any(rendered[roles] != found.render(roles, _contents(roles)) for roles in ("u", "uau", "uauau")):
        return None
    within = _pieces(rendered["suau"], "suau")
    if within is not None:
        whole = replace(found, first_system=within[0], system_user=within[1])
        if all(rendered[roles] == whole.render(roles, _contents(roles)) for roles in _ROLES):
            return whole
    return found


def _contents(roles: str) -> list[str]:
    return [f"Probe{number}of{_NAMES[role]}" for number, role in enumerate(roles)]


def _rendered(tokenizer: Any, roles: str) -> str | None:
    chat = [
        {"role": _NAMES[role], "content": text} for role, text in zip(roles, _contents(roles), strict=True)
    ]
    try:
        text: str = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        begin = tokenizer("a")["input_ids"][:1]
    except Exception:  # templates raise errors of their own, for roles that they do not take
        return None
    if begin == [tokenizer.bos_token_id]:
        return text.removeprefix(tokenizer.bos_token)
    return text


def _pieces(text: str | None, roles: str) -> list[str] | None:
    """What stands before, between and behind the contents, if each is there once and in its turn."""
    if text is None:
        return None
    found = []
    for content in _contents(roles):
        before, probe, text = text.partition(content)
        if not probe or content in text:
            return None
        found.append(before)
    return [*found, text]


def go_template(texts: ChatTexts) -> str:
    """The texts as a template of Ollama."""
    system = ""
    if texts.first_system is not None:
        system = f"{_plain(texts.first_system)}{{{{ $m.Content }}}}"
    after_system = texts.first_user if texts.first_system is None else texts.system_user
    return (
        "{{ range $i, $m := .Messages }}"
        f'{{{{ if eq $m.Role "system" }}}}{system}'
        '{{ else if eq $m.Role "user" }}'
        f"{{{{ if eq $i 0 }}}}{_plain(texts.first_user)}"
        f"{{{{ else if and (eq $i 1) $.System }}}}{_plain(after_system)}"
        f"{{{{ else }}}}{_plain(texts.assistant_user)}{{{{ end }}}}"
        "{{ $m.Content }}"
        f"{{{{ if eq (len (slice $.Messages $i)) 1 }}}}{_plain(texts.generation)}{{{{ end }}}}"
        '{{ else if eq $m.Role "assistant" }}'
        f"{_plain(texts.user_assistant)}{{{{ $m.Content }}}}"
        "{{ end }}{{ end }}"
    )


def _plain(text: str) -> str:
    return text.replace("{{", '{{ "{{" }}')


@dataclass(frozen=True, slots=True)
class Modelfile:
    """A Modelfile.

    Args:
        text: Of the file.
        template: What it has: ``chat`` (the whole template), ``chat without system``, ``none`` (the model has
            no chat template) or ``left out``.
    """

    text: str
    template: str


def modelfile(tokenizer: Any, *, base: str, adapter: str | None, trained_on_chats: bool) -> Modelfile:
    """Write the text.

    Args:
        tokenizer: Of the model.
        base: The GGUF file of the model, or of the base model, as Ollama finds it.
        adapter: The LoRA's; None where it is merged.
        trained_on_chats: Whether the run's rows went through the chat template.
    """
    lines = ["# Make the model with: ollama create NAME -f Modelfile", f"FROM {base}"]
    lines += [] if adapter is None else [f"ADAPTER {adapter}"]
    if not getattr(tokenizer, "chat_template", None):
        lines += ["# The model has no chat template: prompts go in as they are.", _template("{{ .Prompt }}")]
        return Modelfile("\n".join(lines) + "\n", "none")
    if not trained_on_chats:
        lines.append(
            "# The adapter was trained on plain prompts, without this template. For its own task send them\n"
            '# with "raw": true.'
        )
    texts = chat_texts(tokenizer)
    written = "" if texts is None else go_template(texts)
    if texts is None or '"""' in written:
        lines.append(
            "# The model's chat template does more than put texts around messages, so there is no TEMPLATE\n"
            "# here: Ollama takes the one it knows for the model."
        )
        return Modelfile("\n".join(lines) + "\n", "left out")
    if texts.first_system is None:
        lines.append("# System messages are left out: the model's template takes none before the first turn.")
    lines.append(_template(written))
    stop = _stop(tokenizer)
    if stop:
        lines.append(f'PARAMETER stop "{stop}"')
    kind = "chat" if texts.first_system is not None else "chat without system"
    return Modelfile("\n".join(lines) + "\n", kind)


def _template(text: str) -> str:
    return f'TEMPLATE """{text}"""'


def _stop(tokenizer: Any) -> str:
    """The token that ends an answer."""
    token = getattr(tokenizer, "eos_token", None) or ""
    return "" if '"' in token else token
