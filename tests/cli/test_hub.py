"""Models and data of the hub: commands in processes that take a server on this machine for the hub.

They go through the same download code as for a user. One server, one cache and two processes for all, one of
which has HF_HUB_OFFLINE=1.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from loretta_cli.tasks.boolq import TASK
from tests.cli.refusal import assert_refused
from tests.command_line import Outcome, sentence, write_labelled
from tests.hub import Access, HubServer, Session
from tests.tiny_folders import save_tiny_decoder, save_tiny_encoder

STEPS = ("--set", "training.max_steps=2", "--set", "training.batch_size=4")
MEMBER, READER = "hf_member", "hf_reader"
CLOSED: dict[str, Access] = {
    "org/gated": "gated",
    "org/club": "gated",
    "org/private": "private",
    "org/secret": "private",
}
"""Models, and with ``-data`` data sets; the member may read the club's and the secret ones."""
COUNTER = "s3.amazonaws.com:443"
"""Where ``datasets`` counts downloads; it does without an answer."""


@dataclass(frozen=True, slots=True)
class Place:
    """What the tests share: the hub, a process of each kind, a folder, a finished run."""

    hub: HubServer
    online: Session
    offline: Session
    folder: Path
    run: Path
    trained: Outcome


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Everything, and a run on a model and a task of the hub."""
    folder = tmp_path_factory.mktemp("hub")
    cache = {"HF_HOME": str(folder / "cache")}
    with (
        HubServer() as hub,
        Session(hub.environment() | cache) as online,
        Session(hub.environment() | cache | {"HF_HUB_OFFLINE": "1"}) as offline,
    ):
        fill(hub, folder)
        command = ("train", "--model", "org/tiny-llama", "--task", "boolq", *STEPS)
        run = folder / "run"
        yield Place(hub, online, offline, folder, run, online.loretta(*command, "--output", run))


def fill(hub: HubServer, folder: Path) -> None:
    """The repositories of the hub: open, gated and private ones."""
    hub.protocol.tokens |= {MEMBER: {"org/club", "org/secret", "org/secret-data"}, READER: set()}
    llama = save_tiny_decoder(folder / "llama")
    hub.add("models", "org/tiny-llama", llama)
    hub.add(
        "models", "org/tiny-llama", save_tiny_decoder(folder / "llama-v1", seed=1, hidden=48), revision="v1"
    )
    hub.add("models", "org/tiny-bert", save_tiny_encoder(folder / "bert"))
    hub.add("models", "org/never-read", llama)
    for name, access in CLOSED.items():
        hub.add("models", name, llama, access=access)
    hub.add("models", "org/own-code", own_code(folder / "own-code"))
    questions = [
        {"question": f"is the {subject} warm", "passage": f"The {subject} is {word} today.", "label": label}
        for subject in ("river", "sun", "house", "city", "door", "bird")
        for label, word in enumerate(("cold", "warm"))
    ]
    name, _, config = (TASK.hub_id or "").partition(":")
    boolq = data_set(folder / "questions", {config: {"train": questions, "validation": questions[:6]}})
    hub.add("datasets", name, boolq)
    for name, access in CLOSED.items():
        hub.add("datasets", f"{name}-data", boolq, access=access)
    rows = [dict(zip(("sentence", "label"), sentence(number), strict=True)) for number in range(20)]
    configs = {
        "few": {"train": rows, "validation": rows[:5]},
        "many": {"train": rows, "validation": rows[:9]},
    }
    hub.add("datasets", "org/sentences", data_set(folder / "sentences", configs))
    for kind in ("csv", "jsonl"):
        hub.add("datasets", f"org/reviews-{kind}", reviews(folder / kind, kind))


def data_set(folder: Path, configs: dict[str, dict[str, list[dict[str, object]]]]) -> Path:
    """Parquet files in a folder for each config, listed in the card, as the hub's converter leaves them."""
    card = ["---", "configs:"]
    for config, splits in configs.items():
        (folder / config).mkdir(parents=True)
        card += [f"- config_name: {config}", "  data_files:"]
        for split, rows in splits.items():
            file = folder / config / f"{split}-00000-of-00001.parquet"
            pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), file)
            card += [f"  - split: {split}", f"    path: {config}/{split}-*"]
    (folder / "README.md").write_text("\n".join([*card, "---", "# Rows", ""]), encoding="utf-8")
    return folder


def reviews(folder: Path, kind: str) -> Path:
    """One file of a user's own labelled rows, and nothing else."""
    folder.mkdir()
    written = write_labelled(folder / "train.csv")
    if kind == "jsonl":
        names, *lines = written.read_text(encoding="utf-8").splitlines()
        rows = [dict(zip(names.split(","), line.split(","), strict=True)) for line in lines]
        (folder / "train.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
        written.unlink()
    return folder


def own_code(folder: Path) -> Path:
    """A model that transformers does not know, with the code for it, which must not run."""
    folder.mkdir()
    auto = {"AutoConfig": "own.OwnConfig", "AutoModelForCausalLM": "own.OwnModel"}
    (folder / "config.json").write_text(json.dumps({"model_type": "own", "auto_map": auto}), encoding="utf-8")
    (folder / "own.py").write_text("raise SystemExit('a stranger was here')\n", encoding="utf-8")
    return folder


def done(outcome: Outcome) -> Outcome:
    """The outcome, which must be success."""
    assert outcome.exit_code == 0, outcome.stderr
    return outcome


def scores(outcome: Outcome) -> dict[str, float]:
    """The metrics of the one result of ``eval --json``."""
    (result,) = done(outcome).document["results"]
    metrics: dict[str, float] = result["metrics"]
    return metrics


def reported(run: Path) -> dict[str, float]:
    """The metrics in a run's report."""
    metrics: dict[str, float] = json.loads((run / "report.json").read_text(encoding="utf-8"))["metrics"]
    return metrics


def test_a_model_and_a_task_of_the_hub_are_all_that_training_needs(place: Place) -> None:
    done(place.trained)
    report = json.loads((place.run / "report.json").read_text(encoding="utf-8"))

    assert report["steps"] == 2
    assert (place.run / "adapter" / "adapter_config.json").is_file()


def test_every_file_was_read_once_and_nothing_but_the_hub_was_reached(place: Place) -> None:
    assert len([path for path in place.hub.downloads if path.startswith("/storage/")]) >= 3, (
        "weights, two splits"
    )
    assert len(place.hub.downloads) == len(set(place.hub.downloads))
    assert set(place.hub.strange) <= {COUNTER}


def test_what_is_in_the_cache_is_not_read_again(place: Place) -> None:
    before, asked = place.hub.downloads, len(place.hub.requests)

    found = scores(place.online.loretta("eval", place.run, "--json"))

    assert found == pytest.approx(reported(place.run), abs=1e-6)
    assert len(place.hub.requests) > asked, "whether there is something new"
    assert place.hub.downloads == before


def test_of_a_new_commit_only_the_files_that_changed_are_read(place: Place) -> None:
    folder = Path(shutil.copytree(place.folder / "llama", place.folder / "growing"))
    command = ("eval", "--model", "org/growing", "--task", "sst2", "--data", "org/sentences:few", "--json")
    place.hub.add("models", "org/growing", folder)
    first = scores(place.online.loretta(*command))
    before = len(place.hub.downloads)

    changed = Path(shutil.copytree(folder, place.folder / "grown")) / "config.json"
    changed.write_text(changed.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    place.hub.add("models", "org/growing", changed.parent)
    second = scores(place.online.loretta(*command))

    assert [path.rpartition("/")[2] for path in place.hub.downloads[before:]] == ["config.json"]
    assert second == first


def test_a_run_is_evaluated_from_the_cache_when_the_hub_is_gone(place: Place) -> None:
    with place.hub.gone():
        found = scores(place.online.loretta("eval", place.run, "--json"))

    assert found == pytest.approx(reported(place.run), abs=1e-6)


def test_a_run_is_evaluated_offline_without_any_request(place: Place) -> None:
    before = list(place.hub.requests)

    found = scores(place.offline.loretta("eval", place.run, "--json"))

    assert found == pytest.approx(reported(place.run), abs=1e-6)
    assert place.hub.requests == before


@pytest.mark.parametrize(("config", "rows"), [("few", 5), ("many", 9)])
def test_a_colon_chooses_the_config_of_a_data_set(place: Place, config: str, rows: int) -> None:
    command = ("eval", "--model", "org/tiny-llama", "--task", "sst2", "--json")

    evaluated = done(place.online.loretta(*command, "--data", f"org/sentences:{config}"))

    assert [result["rows"] for result in evaluated.document["results"]] == [rows]


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_text_files_on_the_hub_are_data_of_the_users_own(place: Place, kind: str) -> None:
    columns = ("--set", "data.columns.text=message", "--set", "data.columns.label=mood")
    command = ("train", "--model", "org/tiny-bert", "--task", "classification", *columns, *STEPS)
    output = place.folder / f"run-{kind}"

    done(place.online.loretta(*command, "--data", f"org/reviews-{kind}", "--output", output))

    (result,) = done(place.online.loretta("eval", output, "--split", "train", "--json")).document["results"]
    assert result["rows"] > 20, "of 30, less those held out"


def test_a_revision_is_a_tag_or_a_commit_and_has_weights_of_its_own(place: Place) -> None:
    command = ("eval", "--task", "boolq", "--json")
    commit = place.hub.protocol.repositories["models", "org/tiny-llama"].commits["v1"].sha

    def loss(model: object, *more: object) -> float:
        return scores(place.online.loretta(*command, "--model", model, *more))["loss"]

    of_tag = loss("org/tiny-llama", "--set", "model.revision=v1")
    assert of_tag == loss("org/tiny-llama", "--set", f"model.revision={commit}")
    assert of_tag == loss(place.folder / "llama-v1")
    assert of_tag != loss("org/tiny-llama")


def test_a_base_that_became_another_on_the_hub_is_refused_until_its_commit_is_named(place: Place) -> None:
    run, add = place.folder / "changing-run", partial(place.hub.add, "models", "org/changing")
    _, commit = (add(place.folder / "llama", revision=name) for name in ("main", "v1"))
    command = ("train", "--model", "org/changing", "--task", "sst2", "--data", "org/sentences:few", *STEPS)
    done(place.online.loretta(*command, "--output", run))
    add(save_tiny_decoder(place.folder / "llama-v2", seed=2))

    refused = place.online.loretta("eval", run)
    config = (run / "config.yaml").read_text(encoding="utf-8")
    (run / "config.yaml").write_text(config.replace("revision: null", f"revision: {commit}"), "utf-8")
    assert_refused(refused)
    assert "org/changing is not the one that the run" in refused.stderr
    assert "model.revision of the run's config.yaml" in refused.stderr
    assert scores(place.online.loretta("eval", run, "--json")) == pytest.approx(reported(run), abs=1e-6)


def test_a_token_opens_what_is_gated_or_private(place: Place) -> None:
    for name in ("org/club", "org/secret"):
        done(place.online.loretta("count-params", "--model", name, HF_TOKEN=MEMBER))
    command = ("eval", "--model", "org/secret", "--task", "boolq", "--data", "org/secret-data", "--json")
    scores(place.online.loretta(*command, HF_TOKEN=MEMBER))


def test_a_name_that_is_known_without_the_hub_asks_it_nothing(place: Place) -> None:
    before = list(place.hub.requests)

    done(place.online.loretta("count-params", "--model", "meta-llama/Llama-2-7b-hf"))

    assert place.hub.requests == before


def test_code_of_a_model_does_not_run_unless_it_is_trusted(place: Place) -> None:
    outcome = place.online.loretta("count-params", "--model", "org/own-code")

    assert_refused(outcome)
    assert outcome.exit_code == 2
    assert "org/own-code has code of its own, which runs only if you trust it." in outcome.stderr
    assert "--trust-remote-code" in outcome.stderr


MISSING = "has no such {kind}, or a private one."
GATED = "it is gated, and you are not logged in."
NO_ACCESS = "it is gated, and your account has no access to it."
BAD_TOKEN = "the hub does not accept your access token."
REFUSALS = [
    (
        "org/missing",
        "",
        MISSING,
        "Check the spelling; for a private one run `hf auth login` or set HF_TOKEN.",
    ),
    ("org/missing", READER, MISSING, "Check the spelling"),
    ("org/private", "", MISSING, "`hf auth login`"),
    ("org/private", READER, MISSING, "`hf auth login`"),
    ("org/gated", "", GATED, "{page}, then run `hf auth login` or set HF_TOKEN."),
    ("org/gated", READER, NO_ACCESS, "Accept its terms on {page}"),
    ("org/gated", "hf_wrong", BAD_TOKEN, "Correct or unset HF_TOKEN"),
]
"""Name, token, message and hint; a data set has ``-data`` behind its name."""


def check(outcome: Outcome, start: str, end: str, hint: str) -> None:
    """One error and one hint, no traceback, and the code of a mistake of the user's."""
    assert_refused(outcome)
    assert outcome.exit_code == 2
    (error,) = (line for line in outcome.stderr.splitlines() if line.startswith("error: "))
    assert error.startswith(f"error: {start}")
    assert error.endswith(end)
    assert hint in outcome.stderr.partition("hint: ")[2]


@pytest.mark.parametrize(("name", "token", "message", "hint"), REFUSALS)
def test_a_model_that_the_hub_does_not_give(
    place: Place, name: str, token: str, message: str, hint: str
) -> None:
    outcome = place.online.loretta("count-params", "--model", name, HF_TOKEN=token)

    page = f"{place.hub.address}/{name}"
    check(outcome, f"Cannot read the model '{name}': ", message.format(kind="model"), hint.format(page=page))


@pytest.mark.parametrize(("name", "token", "message", "hint"), REFUSALS)
def test_a_data_set_that_the_hub_does_not_give(
    place: Place, name: str, token: str, message: str, hint: str
) -> None:
    name += "-data"

    outcome = train_on(place, place.online, name, HF_TOKEN=token)

    page, kind = f"{place.hub.address}/datasets/{name}", "data set"
    check(outcome, f"Cannot read the data set '{name}': ", message.format(kind=kind), hint.format(page=page))


def train_on(place: Place, session: Session, data: str, **variables: str) -> Outcome:
    """Training of a model on this machine on data of the hub."""
    command = ("train", "--model", place.folder / "bert", "--task", "sst2", *STEPS, "--data", data)
    return session.loretta(*command, "--output", place.folder / "not-written", **variables)


def test_a_misspelt_model_gets_the_nearest_name(place: Place) -> None:
    outcome = place.online.loretta("count-params", "--model", "FacebookAI/roberta-bas")

    hint = "Did you mean 'FacebookAI/roberta-base'"
    check(outcome, "Cannot read the model 'FacebookAI/roberta-bas': ", MISSING.format(kind="model"), hint)


def test_an_unknown_revision_is_named(place: Place) -> None:
    command = ("count-params", "--model", "org/tiny-llama", "--set", "model.revision=v9")

    outcome = place.online.loretta(*command)

    check(outcome, "Cannot read the model 'org/tiny-llama': ", "it has no revision 'v9'.", "a branch, a tag")


def test_an_unknown_config_of_a_data_set_is_told_with_those_there_are(place: Place) -> None:
    outcome = train_on(place, place.online, "org/sentences:all")

    start = "Cannot read the data set 'org/sentences:all' of the hub: "
    check(outcome, start, "'all' not found. Available: ['few', 'many'].", "org/name:config")


NO_MODEL = "Cannot read the model 'org/never-read': it is not a local folder, and "
NO_DATA = "Cannot read the data set 'org/never-read': it is neither a file nor a folder, and "


def test_a_hub_that_is_gone_is_told_from_a_name_that_is_missing(place: Place) -> None:
    with place.hub.gone():
        of_model = place.online.loretta("count-params", "--model", "org/never-read")
        of_data = train_on(place, place.online, "org/never-read")

    end = f"the hub at {place.hub.address} cannot be reached, and it is not in the cache."
    check(of_model, NO_MODEL, end, "Check the network, the proxy and HF_ENDPOINT.")
    check(of_data, NO_DATA, end, "Check the network, the proxy and HF_ENDPOINT.")


def test_offline_what_is_not_in_the_cache_is_told_how_to_get_it(place: Place) -> None:
    end, hint = "and HF_HUB_OFFLINE=1 forbids a download.", "Unset HF_HUB_OFFLINE"

    of_model = place.offline.loretta("count-params", "--model", "org/never-read")
    check(of_model, NO_MODEL, end, hint)
    check(train_on(place, place.offline, "org/never-read"), NO_DATA, end, hint)


def test_a_script_gets_the_refusal_as_a_document(place: Place) -> None:
    outcome = place.online.loretta("count-params", "--model", "org/gated", "--json")

    error = outcome.document["error"]
    assert outcome.exit_code == 2
    assert error["type"] == "ModelError"
    assert error["message"] == f"Cannot read the model 'org/gated': {GATED}"
    assert "hf auth login" in error["hint"]


def test_no_request_was_beyond_the_stand_in(place: Place) -> None:
    assert set(place.hub.strange) <= {COUNTER}
