"""What goes along with merged weights: how it generates, chat template, the base's card and licence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loretta_cli.artifacts.merge import MergeRequest, merge
from loretta_cli.artifacts.merging.companions import BASE_CARD, take_base_papers
from loretta_cli.planning.plan import make_plan
from tests.artifacts.merging.untrained_runs import Notes, make_run, save_base

TEMPLATE = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
CARD = "---\nlicense: other\nlicense_name: my-licence\ntags: [a]\n---\n\n# The base\n"


def test_all_that_belongs_to_a_language_model_goes_along(tmp_path: Path) -> None:
    base, merged = save_base(tmp_path / "base", "llama"), tmp_path / "merged"
    generation = {"max_new_tokens": 7, "temperature": 0.4, "do_sample": True}
    (base / "generation_config.json").write_text(json.dumps(generation), encoding="utf-8")
    (base / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")
    (base / "README.md").write_text(CARD, encoding="utf-8")
    (base / "LICENSE.txt").write_text("all yours", encoding="utf-8")
    (base / "notes.txt").write_text("not for others", encoding="utf-8")

    merge(MergeRequest(make_run(tmp_path / "run", base), merged, verify="layers"), Notes())

    assert json.loads((merged / "generation_config.json").read_text(encoding="utf-8")) == generation
    assert (merged / "chat_template.jinja").read_text(encoding="utf-8") == TEMPLATE
    assert (merged / BASE_CARD).read_text(encoding="utf-8") == CARD
    assert (merged / "LICENSE.txt").read_text(encoding="utf-8") == "all yours"
    assert not (merged / "notes.txt").exists()
    card = (merged / "README.md").read_text(encoding="utf-8")
    assert "license: other\nlicense_name: my-licence\n" in card
    assert f"in `{BASE_CARD}`" in card
    config = json.loads((merged / "config.json").read_text(encoding="utf-8"))
    assert config["architectures"] == ["LlamaForCausalLM"]


def test_a_classifier_has_no_word_on_generating(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", save_base(tmp_path / "base", "llama"), "task.form=classification")

    merge(MergeRequest(run, tmp_path / "merged", verify="layers"), Notes())

    assert not (tmp_path / "merged" / "generation_config.json").exists()
    assert BASE_CARD not in (tmp_path / "merged" / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "card",
    [
        "# No head",
        "---\nlicense: mit\n",
        "---\n[a, list]\n---\n",
        "---\nlicense: [a, b]\n---\n",
        "---\n: : broken: [\n---\n",
        "text\n---\nlicense: mit\n---\n",
    ],
)
def test_a_card_that_says_nothing_of_its_licence_is_only_copied(tmp_path: Path, card: str) -> None:
    base = save_base(tmp_path / "base", "llama")
    (base / "README.md").write_text(card, encoding="utf-8")
    plan = make_plan(make_run(tmp_path / "run", base).read_config())
    (tmp_path / "out").mkdir()

    assert take_base_papers(plan, tmp_path / "out") == {}
    assert (tmp_path / "out" / BASE_CARD).read_text(encoding="utf-8") == card
