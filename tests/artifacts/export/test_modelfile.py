"""Chat templates that put texts around messages become templates of Ollama; others are left out."""

from __future__ import annotations

from typing import Any

import pytest

from loretta_cli.artifacts.export.modelfile import ChatTexts, chat_texts, go_template, modelfile
from tests.tiny_folders import decoder_tokenizer

MARKED = (
    "{% for m in messages %}<{{ m.role }}>\n{{ m.content }}<end>\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>\n{% endif %}"
)
WITH_DEFAULT = "{% if messages[0].role != 'system' %}<system>\nBe kind.<end>\n{% endif %}" + MARKED
SYSTEM_INSIDE = (
    "{% set given = messages[0].role == 'system' %}{% for m in messages %}"
    "{% if m.role == 'user' %}{{ bos_token }}[ASK] "
    "{% if given and loop.index0 == 1 %}(({{ messages[0].content }}))\n{% endif %}{{ m.content }} [/ASK]"
    "{% elif m.role == 'assistant' %} {{ m.content }} {{ eos_token }}{% endif %}{% endfor %}"
)
NO_SYSTEM = "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}" + MARKED
SYSTEM_LAST = (
    "{% for m in messages %}{% if m.role == 'user' %}[ASK]"
    "{% if loop.last and messages[0].role == 'system' %}{{ messages[0].content }}\n{% endif %}"
    "{{ m.content }}[/ASK]{% elif m.role == 'assistant' %}{{ m.content }}</s>{% endif %}{% endfor %}"
)
COUNTING = "{% for m in messages %}{{ loop.index }}: {{ m.content }}\n{% endfor %}"
LAST_ONLY = "<user>{{ messages[-1].content }}<assistant>"


def with_template(template: str) -> Any:
    tokenizer = decoder_tokenizer()
    tokenizer.chat_template = template
    return tokenizer


def test_marks_around_each_message_are_found() -> None:
    assert chat_texts(with_template(MARKED)) == ChatTexts(
        first_user="<user>\n",
        user_assistant="<end>\n<assistant>\n",
        assistant_user="<end>\n<user>\n",
        generation="<end>\n<assistant>\n",
        first_system="<system>\n",
        system_user="<end>\n<user>\n",
    )


def test_a_system_message_of_the_template_s_own_stands_before_a_first_user_only() -> None:
    found = chat_texts(with_template(WITH_DEFAULT))

    assert found is not None
    assert found.first_user == "<system>\nBe kind.<end>\n<user>\n"
    assert found.first_system == "<system>\n"
    assert found.assistant_user == "<end>\n<user>\n"


def test_a_system_message_inside_the_first_turn_is_found_and_the_first_begin_token_left_out() -> None:
    found = chat_texts(with_template(SYSTEM_INSIDE))

    assert found == ChatTexts(
        first_user="[ASK] ",
        user_assistant=" [/ASK] ",
        assistant_user=" </s><s>[ASK] ",
        generation=" [/ASK]",
        first_system="[ASK] ((",
        system_user="))\n",
    )


def test_a_begin_token_that_the_tokenizer_does_not_add_stays() -> None:
    from tokenizers import processors

    tokenizer = with_template("{{ bos_token }}" + MARKED)
    tokenizer.backend_tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)

    found = chat_texts(tokenizer)

    assert found is not None
    assert found.first_user == "<s><user>\n"


@pytest.mark.parametrize("template", [NO_SYSTEM, SYSTEM_LAST])
def test_without_a_system_message_in_front_the_rest_is_kept(template: str) -> None:
    found = chat_texts(with_template(template))

    assert found is not None
    assert found.first_system is None
    assert 'eq $m.Role "system" }}{{ else if' in go_template(found)


@pytest.mark.parametrize("template", [COUNTING, LAST_ONLY, "{{ raise_exception('never') }}", "{% broken"])
def test_a_template_that_does_more_or_fails_has_none(template: str) -> None:
    tokenizer = with_template(template)

    assert chat_texts(tokenizer) is None
    written = modelfile(tokenizer, base="b", adapter="a", trained_on_chats=True)
    assert written.template == "left out"
    assert 'TEMPLATE """' not in written.text
    assert "there is no TEMPLATE" in written.text


def test_the_template_for_ollama() -> None:
    """Its text was run through Go's text/template by hand, with the templates of nine model families."""
    texts = ChatTexts("<u>", "</u><a>", "</a><u>", "</u><a>", "<s>", "</s><u>")

    assert go_template(texts) == (
        '{{ range $i, $m := .Messages }}{{ if eq $m.Role "system" }}<s>{{ $m.Content }}'
        '{{ else if eq $m.Role "user" }}{{ if eq $i 0 }}<u>{{ else if and (eq $i 1) $.System }}</s><u>'
        "{{ else }}</a><u>{{ end }}{{ $m.Content }}{{ if eq (len (slice $.Messages $i)) 1 }}</u><a>{{ end }}"
        '{{ else if eq $m.Role "assistant" }}</u><a>{{ $m.Content }}{{ end }}{{ end }}'
    )


def test_braces_of_a_template_are_not_read_by_go() -> None:
    found = chat_texts(
        with_template("{% for m in messages %}{{ '{{' }}{{ m.role }}:{{ m.content }}{% endfor %}")
    )

    assert found is not None
    assert '{{ "{{" }}user:' in go_template(found)


def test_quotes_that_would_end_the_template_leave_it_out() -> None:
    tokenizer = with_template(MARKED.replace("<end>", '"""'))

    assert chat_texts(tokenizer) is not None
    assert modelfile(tokenizer, base="b", adapter="a", trained_on_chats=True).template == "left out"


def test_a_modelfile_names_base_adapter_template_and_stop() -> None:
    written = modelfile(
        with_template(MARKED), base="./base.gguf", adapter="./adapter.gguf", trained_on_chats=True
    )

    lines = written.text.splitlines()
    assert lines[1:3] == ["FROM ./base.gguf", "ADAPTER ./adapter.gguf"]
    assert written.template == "chat"
    assert '\nTEMPLATE """{{ range' in written.text
    assert lines[-1] == 'PARAMETER stop "</s>"'
    assert "raw" not in written.text


def test_an_adapter_trained_on_plain_prompts_says_so() -> None:
    written = modelfile(with_template(MARKED), base="b", adapter="a", trained_on_chats=False)

    assert '# with "raw": true.' in written.text


def test_a_model_without_a_chat_template_takes_prompts_as_they_are() -> None:
    written = modelfile(decoder_tokenizer(), base="b", adapter="a", trained_on_chats=False)

    assert written.template == "none"
    assert 'TEMPLATE """{{ .Prompt }}"""' in written.text


def test_a_merged_model_has_no_adapter() -> None:
    written = modelfile(decoder_tokenizer(), base="./model.gguf", adapter=None, trained_on_chats=False)

    assert written.text.splitlines()[1] == "FROM ./model.gguf"
    assert "ADAPTER" not in written.text
