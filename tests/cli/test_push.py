"""``loretta push``: to a server on this machine that processes of their own take for the hub."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.conftest import FinishedRun, Workplace
from tests.cli.logits import IDS, assert_close, run_logits
from tests.cli.refusal import assert_refused
from tests.command_line import Outcome, files_below, loretta, python
from tests.hub import HubServer, Session
from tests.task_folders import write_tasks

WRITER, READER = "hf_writer", "hf_reader"
OF_A_RUN = [
    *("README.md", "adapter_config.json", "adapter_model.safetensors", "curves.png"),
    *("tokenizer.json", "tokenizer_config.json"),
]

LOAD_BACK = f"""
import json, os, sys
base, places, variables = map(json.loads, sys.argv[1:])
os.environ.update(variables)
import torch
from peft import PeftModel
from transformers import AutoModelForSequenceClassification
ids, found = torch.tensor([{IDS}]), []
for name, needs_ours in places:
    if needs_ours:
        sys.modules.pop("loretta_cli", None)
        import loretta_cli.tuners
    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=2, local_files_only=True)
    with torch.no_grad():
        model = PeftModel.from_pretrained(model, name).eval()
        found.append(model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits.flatten().tolist())
print(json.dumps(found))
"""
"""Without this project, until an adapter needs it."""


@dataclass(frozen=True, slots=True)
class Place:
    """The hub, a process that may ask it, and folders to push. This very process is offline."""

    hub: HubServer
    online: Session
    run: Path
    lora: Path
    environment: dict[str, str]

    def files(self, name: str, revision: str = "main") -> dict[str, bytes]:
        """What a repository holds."""
        commit = self.hub.protocol.repositories["models", name].commits[revision]
        return {path: file.place.read_bytes() for path, file in commit.files.items()}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, rep_run: FinishedRun) -> Iterator[Place]:
    """Everything, with a LoRA exported from the run."""
    folder = tmp_path_factory.mktemp("push")
    run = Path(shutil.copytree(rep_run.path, folder / "run"))
    exported = loretta("export", run, "--format", "lora", "--output", folder / "lora")
    assert exported.exit_code == 0, exported.stderr
    own = {"HF_HOME": str(folder / "cache"), "HF_HUB_DISABLE_XET": "1"}
    with HubServer() as hub:
        environment = hub.environment() | own
        hub.protocol.tokens |= {WRITER: set(), READER: set()}
        hub.protocol.writers[WRITER] = "org"
        with Session(environment) as online:
            yield Place(hub, online, run, folder / "lora", environment)


def done(outcome: Outcome) -> Outcome:
    """The outcome, which must be success."""
    assert outcome.exit_code == 0, outcome.stderr
    return outcome


def test_a_run_goes_as_adapter_and_card(place: Place) -> None:
    document = done(place.online.loretta("push", place.run, "org/rep", "--json", HF_TOKEN=WRITER)).document

    files = place.files("org/rep")
    assert sorted(files) == OF_A_RUN
    assert document["files"] == [{"path": path, "bytes": len(files[path])} for path in OF_A_RUN]
    assert document["pushed"]
    assert document["commit"] == place.hub.protocol.repositories["models", "org/rep"].commits["main"].sha
    assert files["adapter_model.safetensors"] == (place.run / "adapter" / OF_A_RUN[2]).read_bytes()
    assert not place.hub.strange


def test_what_was_pushed_loads_back_from_the_hub_a_lora_with_plain_peft_alone(
    place: Place, workplace: Workplace
) -> None:
    done(place.online.loretta("push", place.lora, "org/lora-back", HF_TOKEN=WRITER))
    done(place.online.loretta("push", place.run, "org/rep-back", HF_TOKEN=WRITER))
    arguments = (
        str(workplace.encoder),
        [("org/lora-back", False), ("org/rep-back", True)],
        place.environment,
    )

    lora, rep = json.loads(python(LOAD_BACK, *map(json.dumps, arguments), blocked=("loretta_cli",)))

    assert_close(lora, run_logits(place.run))
    assert_close(rep, run_logits(place.run))
    assert not place.hub.strange


def test_a_base_of_the_hub_is_named_in_card_and_config(place: Place) -> None:
    done(place.online.loretta("push", place.lora, "org/lora", "--base", "org/encoder", HF_TOKEN=WRITER))

    files = place.files("org/lora")
    assert json.loads(files["adapter_config.json"])["base_model_name_or_path"] == "org/encoder"
    assert b"base_model: org/encoder\n" in files["README.md"]


def test_nothing_that_is_pushed_names_a_folder_of_this_machine(place: Place, workplace: Workplace) -> None:
    for folder, name in ((place.run, "org/bare-run"), (place.lora, "org/bare-lora")):
        done(place.online.loretta("push", folder, name, HF_TOKEN=WRITER))
        files = place.files(name)

        assert not [path for path, content in files.items() if str(workplace.folder).encode() in content]
        assert not [path for path, content in files.items() if str(place.run.parent).encode() in content]
        assert b"base_model" not in files["README.md"], "the hub knows no model of this name"
        assert json.loads(files["adapter_config.json"])["base_model_name_or_path"] == "encoder"


def test_the_card_on_the_hub_loads_the_adapter_from_there(place: Place) -> None:
    done(place.online.loretta("push", place.run, "org/carded", "--base", "org/enc", HF_TOKEN=WRITER))

    card = place.files("org/carded")["README.md"].decode()
    assert card.count("base_model: org/enc\n") == 1
    assert 'base = "org/enc"\n' in card
    assert ', "org/carded")\n```' in card


def test_private_revision_and_message_reach_the_hub(place: Place) -> None:
    arguments = ("--private", "--revision", "v2", "--message", "the second one")
    done(place.online.loretta("push", place.run, "org/closed", *arguments, HF_TOKEN=WRITER))

    repository = place.hub.protocol.repositories["models", "org/closed"]
    assert repository.access == "private"
    assert sorted(repository.commits["v2"].files) == OF_A_RUN
    assert not repository.commits["main"].files
    assert place.hub.protocol.uploads.messages[-1] == "the second one"


def test_pushing_again_replaces_what_changed_and_keeps_the_rest(place: Place) -> None:
    done(place.online.loretta("push", place.run, "org/again", HF_TOKEN=WRITER))
    done(place.online.loretta("push", place.lora, "org/again", HF_TOKEN=WRITER))

    assert place.files("org/again")[OF_A_RUN[2]] == (place.lora / OF_A_RUN[2]).read_bytes()
    assert sorted(place.files("org/again")) == OF_A_RUN


def test_private_does_not_upload_to_a_public_repository(place: Place) -> None:
    done(place.online.loretta("push", place.run, "org/open", HF_TOKEN=WRITER))
    before = len(place.hub.protocol.uploads.messages)

    outcome = place.online.loretta("push", place.lora, "org/open", "--private", HF_TOKEN=WRITER)

    assert_refused(outcome)
    assert "is there already and is public" in outcome.stderr
    assert len(place.hub.protocol.uploads.messages) == before


def test_a_dry_run_lists_files_and_bytes_and_asks_nothing(place: Place) -> None:
    before = list(place.hub.requests)

    outcome = done(place.online.loretta("push", place.run, "org/dry", "--dry-run", "--json"))

    document = outcome.document
    assert [file["path"] for file in document["files"]] == OF_A_RUN
    assert document["bytes"] == sum(file["bytes"] for file in document["files"]) > 0
    assert (document["pushed"], document["commit"], document["url"]) == (False, None, None)
    assert place.hub.requests == before


def test_offline_is_refused_without_a_request(place: Place) -> None:
    before = list(place.hub.requests)

    outcome = loretta("push", place.run, "org/rep")

    assert_refused(outcome)
    assert "HF_HUB_OFFLINE=1 forbids" in outcome.stderr
    assert place.hub.requests == before


@pytest.mark.parametrize(
    ("token", "says"),
    [
        ("", "`hf auth login`"),
        ("hf_wrong", "the hub does not accept your access token"),
        (READER, "your access token may not write there"),
    ],
)
def test_a_token_that_does_not_do_is_named_and_not_shown(place: Place, token: str, says: str) -> None:
    outcome = place.online.loretta("push", place.run, "org/refused", HF_TOKEN=token)

    assert_refused(outcome)
    assert outcome.exit_code == 2
    assert says in outcome.stderr
    assert not token or token not in outcome.stderr
    assert ("models", "org/refused") not in place.hub.protocol.repositories


def test_a_hub_that_is_gone_is_one_sentence(place: Place) -> None:
    with place.hub.gone():
        outcome = place.online.loretta("push", place.run, "org/rep", HF_TOKEN=WRITER)

    assert_refused(outcome)
    assert f"the hub at {place.hub.address} cannot be reached" in outcome.stderr


def test_a_merged_model_is_pushed_whole(place: Place, tmp_path: Path) -> None:
    done(loretta("merge", place.run, "--output", tmp_path / "merged"))
    done(place.online.loretta("push", tmp_path / "merged", "org/merged", HF_TOKEN=WRITER))

    assert sorted(place.files("org/merged")) == files_below(tmp_path / "merged")


def test_of_several_tasks_the_last_stage_goes(place: Place, workplace: Workplace, tmp_path: Path) -> None:
    tasks = write_tasks(tmp_path / "tasks", "sst2", "mr")
    model = ("--model", workplace.encoder, "--data", tasks, "--task", "sst2", "--task", "mr")
    run = tmp_path / "sequence"
    done(loretta("train", *model, "--set", "training.max_steps=1", "--output", run))
    done(place.online.loretta("push", run, "org/sequence", HF_TOKEN=WRITER))

    files = place.files("org/sequence")
    assert sorted(files) == OF_A_RUN
    assert files[OF_A_RUN[2]] == (run / "stages" / "2-mr" / "adapter" / OF_A_RUN[2]).read_bytes()
    assert b" on mr\n" in files["README.md"]
    assert not [path for path, content in files.items() if str(tmp_path).encode() in content]


def test_the_card_of_a_lora_loads_it_from_the_hub(place: Place) -> None:
    done(place.online.loretta("push", place.lora, "org/lora-card", "--base", "org/enc", HF_TOKEN=WRITER))

    card = place.files("org/lora-card")["README.md"].decode()
    assert 'base = "org/enc"\n' in card
    assert ', "org/lora-card")\ntokenizer = AutoTokenizer.from_pretrained("org/lora-card")\n' in card


def test_an_error_of_the_hub_is_one_sentence(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.hub.protocol import Answer

    refuse = lambda _self, _question: Answer(500, b'{"error": "out of order"}')  # noqa: E731
    monkeypatch.setattr(type(place.hub.protocol), "_create", refuse)

    outcome = place.online.loretta("push", place.run, "org/broken", HF_TOKEN=WRITER)

    assert_refused(outcome)
    assert "Cannot push to org/broken: the hub answered with an error: 500 out of order" in outcome.stderr


def _dry(folder: Path, name: str = "org/name") -> Outcome:
    return loretta("push", folder, name, "--dry-run")


def test_a_run_that_is_not_finished_is_refused(place: Place, tmp_path: Path) -> None:
    run = Path(shutil.copytree(place.run, tmp_path / "run"))
    (run / "report.json").unlink()

    outcome = _dry(run)

    assert_refused(outcome)
    assert "is not finished" in outcome.stderr


def test_a_damaged_adapter_is_refused(place: Place, tmp_path: Path) -> None:
    run = Path(shutil.copytree(place.run, tmp_path / "run"))
    (run / "adapter" / "adapter_model.safetensors").write_bytes(b"torn")

    assert "is damaged" in _dry(run).stderr


@pytest.mark.parametrize("left", [-1, 20, 0])
def test_weights_of_an_export_that_were_cut_short_are_refused(
    place: Place, tmp_path: Path, left: int
) -> None:
    folder = Path(shutil.copytree(place.lora, tmp_path / "lora"))
    weights = folder / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:left])

    outcome = _dry(folder)

    assert_refused(outcome)
    assert f"{weights} is damaged" in outcome.stderr


def test_data_beside_an_adapter_does_not_go(place: Place, tmp_path: Path) -> None:
    run = Path(shutil.copytree(place.run, tmp_path / "run"))
    (run / "adapter" / "rows.csv").write_text("secret", encoding="utf-8")
    (run / "train.jsonl").write_text("secret", encoding="utf-8")

    assert "rows.csv" not in _dry(run).stdout
    assert "train.jsonl" not in _dry(run).stdout


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("more.json", '{"cache": ["PLACE"]}'),
        ("gone.json", '{"cache": "PLACE/gone"}'),
        ("Modelfile", "FROM PLACE/model.gguf\n"),
        ("BASE_MODEL_CARD.md", "see HOME/notes.txt\n"),
    ],
)
def test_a_file_that_names_a_folder_of_this_machine_is_refused(
    place: Place, tmp_path: Path, name: str, text: str
) -> None:
    folder = Path(shutil.copytree(place.lora, tmp_path / "lora"))
    text = text.replace("PLACE", str(folder)).replace("HOME", str(Path.home()))
    (folder / name).write_text(text, encoding="utf-8")

    outcome = _dry(folder)

    assert_refused(outcome)
    assert f"{name} names a place on this machine" in outcome.stderr


def test_a_base_model_outside_the_folder_goes_by_its_name(place: Place, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(place.lora, tmp_path / "lora"))
    name = "to ollama.gguf"
    (folder / "Modelfile").write_text(
        f"FROM ../../home/me/{name}\nADAPTER ./adapter.gguf\n", encoding="utf-8"
    )

    from loretta_cli.artifacts.push_files import files_to_push

    (sent,) = (file for file in files_to_push(folder, "org/name", None) if file.path == "Modelfile")

    assert sent.content == f"FROM ./{name}\nADAPTER ./adapter.gguf\n".encode()


def test_words_that_look_like_paths_are_no_places(place: Place, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(place.lora, tmp_path / "lora"))
    words = {"a": "/", "b": "/tmp", "c": "/no-such-root/of/this/machine", "d": "x" * 5000, "e": "a/b/c"}
    (folder / "more.json").write_text(json.dumps(words), encoding="utf-8")

    done(_dry(folder))


def test_a_link_is_refused(place: Place, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(place.lora, tmp_path / "lora"))
    (folder / "more.bin").symlink_to(tmp_path / "lora" / "README.md")

    assert "is a link" in _dry(folder).stderr


@pytest.mark.parametrize("name", ["name", "a/b/c", "org/na me", "/abs"])
def test_a_repository_that_cannot_be_is_refused(place: Place, name: str) -> None:
    outcome = _dry(place.run, name)

    assert outcome.exit_code == 2
    assert "expected a name and a model" in outcome.stderr


def test_a_folder_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# Mine\n", encoding="utf-8")

    assert "is not a run folder" in _dry(tmp_path).stderr
