from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli.conftest import Run

from jobwire_server.config import catalogue


def test_config_show_lists_every_setting_with_its_origin(
    jobwire: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("jobwire.toml").write_text("[jobs]\ntick_ms = 5\n")
    monkeypatch.setenv("JOBWIRE_TOKENS", "canary")

    rows = [line.split() for line in jobwire("config", "show", "--origin").out.splitlines()[1:]]

    assert [row[0] for row in rows] == list(catalogue())
    assert ["jobs.tick_ms", "5", "jobwire.toml:jobs.tick_ms"] in rows
    assert ["auth.tokens", '["********"]', "env", "JOBWIRE_TOKENS"] in rows
    assert ["http.port", "6790", "default"] in rows


def test_config_show_leaves_the_origin_out_unless_it_is_asked_for(jobwire: Run) -> None:
    assert "default" not in jobwire("config", "show").out


def test_config_show_as_json(jobwire: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBWIRE_TOKENS", "canary,canary2")

    result = jobwire("config", "show", "-o", "json")

    settings = {each["key"]: each for each in json.loads(result.out)["settings"]}
    assert settings["auth.tokens"]["value"] == ["********", "********"]
    assert settings["http.port"] == {"key": "http.port", "value": 6790, "origin": "default"}
    assert settings["http.tls_cert"]["value"] is None
    assert "canary" not in result.out


def test_config_check_says_which_file_was_read(jobwire: Run) -> None:
    Path("mine.toml").write_text('storage = "memory://"')

    assert (
        jobwire("config", "check", "-c", "mine.toml").out
        == "The configuration is valid (mine.toml).\n"
    )
    assert json.loads(jobwire("config", "check", "-o", "json").out) == {"ok": True, "file": None}


def test_config_check_lists_every_problem_and_exits_2(jobwire: Run) -> None:
    Path("mine.toml").write_text("[http]\nport = -1\nhost = 'a b'\n")

    result = jobwire("config", "check", "--config", "mine.toml")

    assert (result.code, result.out) == (2, "")
    assert "http.host (mine.toml:http.host): give an address" in result.err
    assert "http.port (mine.toml:http.port): too small; set 0 or more" in result.err


def test_a_config_file_that_is_missing_exits_2(jobwire: Run) -> None:
    result = jobwire("config", "show", "--config", "nowhere.toml")

    assert result.code == 2
    assert "nowhere.toml" in result.err
