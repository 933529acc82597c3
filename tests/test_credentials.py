"""Passwords and tokens are neither shown nor kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loretta_cli.credentials import has_credentials, without_credentials
from tests.command_line import loretta
from tests.run_folders import write_finished

ADDRESS = "https://user:pa55word@host.example/x"
TOKEN = "hf_" + "aB3" * 11


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (ADDRESS, "https://***@host.example/x"),
        ("no folder https:/user:pa55word@host/x.", "no folder https:/***@host/x."),
        ("socks5://u:p@ss@proxy:1", "socks5://***@proxy:1"),
        (f"https://{TOKEN}@host/a b@c", "https://***@host/a b@c"),
        (f"unknown key {TOKEN!r}.", "unknown key 'hf_***'."),
    ],
)
def test_passwords_and_tokens_are_taken_out(text: str, shown: str) -> None:
    assert has_credentials(text)
    assert without_credentials(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        *("https://host.example/x@main", "someone@host.example", "hf_internal", "C:/a/b@c"),
        *("accuracy: 0.5 @ step 3", "hf-internal-testing/tiny", "bundled:minilm", "http://a b@c"),
    ],
)
def test_other_texts_stay(text: str) -> None:
    assert not has_credentials(text)


@pytest.mark.parametrize("secret", [ADDRESS, TOKEN])
@pytest.mark.parametrize(
    "arguments",
    [
        *(("train", "quickstart", "--model", "{}"), ("train", "quickstart", "--data", "{}")),
        *(
            ("train", "quickstart", "--set", "model.nam={}"),
            ("train", "quickstart", "--set", "training.seed={}"),
        ),
        *(("train", "{}"), ("count-params", "--model", "{}"), ("show", "{}"), ("runs", "{}")),
        *(("predict", "{}", "text"), ("eval", "--model", "{}", "--task", "sst2")),
    ],
)
def test_no_message_tells_a_secret_and_nothing_is_written(
    arguments: tuple[str, ...], secret: str, tmp_path: Path
) -> None:
    given = [argument.format(secret) for argument in arguments]
    for json_flag in ([], ["--json"]):
        ended = loretta(*given, *json_flag, cwd=tmp_path)
        assert ended.exit_code == 2
        for part in ("pa55word", TOKEN):
            assert part not in ended.stdout + ended.stderr
        if json_flag:
            assert "message" in json.loads(ended.stdout)["error"]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("key", ["model.name", "data.source"])
def test_a_setting_with_a_password_is_refused_before_it_is_kept(key: str, tmp_path: Path) -> None:
    ended = loretta("train", "quickstart", "--set", f"{key}={ADDRESS}", "--output", "run", cwd=tmp_path)
    assert ended.exit_code == 2
    assert f"{key} (--set): a password or a token stands in it" in ended.stderr
    assert not list(tmp_path.iterdir())


def test_a_strangers_run_with_a_password_is_damaged_and_does_not_tell_it(tmp_path: Path) -> None:
    run = write_finished(tmp_path / "run").path
    file = run / "config.yaml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("bundled:minilm", ADDRESS), encoding="utf-8")
    for arguments in (
        ["show", run],
        ["runs", tmp_path],
        ["show", run, "--json"],
        ["runs", tmp_path, "--json"],
    ):
        ended = loretta(*arguments)
        assert "damaged" in ended.stdout
        assert "pa55word" not in ended.stdout + ended.stderr
