"""The environment is told without its secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from loretta_cli.measure.surroundings import SECRET, TOLD, describe_hub, describe_variables, in_home


def test_of_secrets_only_the_name_is_told_and_of_others_nothing() -> None:
    environ = {
        "HF_TOKEN": "hf_abc",
        "HTTPS_PROXY": "http://me:word@proxy",
        "WANDB_API_KEY": "",
        "HF_HUB_OFFLINE": "1",
        "MY_PASSWORD": "word",
    }

    found = describe_variables(environ)

    assert found == {"values": {"HF_HUB_OFFLINE": "1"}, "secrets": ["HF_TOKEN", "HTTPS_PROXY"]}
    assert not set(TOLD) & set(SECRET)


def test_a_password_in_an_address_is_left_out() -> None:
    found = describe_variables({"HF_ENDPOINT": "https://me:word@mirror.example/hub"})

    assert found["values"] == {"HF_ENDPOINT": "https://mirror.example/hub"}


def test_the_home_folder_has_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    monkeypatch.setenv("USERPROFILE", "/home/ann")

    assert in_home("/home/ann/x:/home/ann") == "~/x:~"
    assert in_home("/home/anna/x") == "/home/anna/x"


def test_the_cache_and_where_a_token_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))

    found = describe_hub({})
    assert (found["cache_exists"], found["token"]) == (False, None)
    assert found["cache_free_bytes"] > 0
    (tmp_path / "token").write_text("hf_abc", encoding="utf-8")
    assert describe_hub({})["token"] == "file"
    assert describe_hub({"HF_TOKEN": "hf_abc"})["token"] == "variable"
