from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from jobwire_server import config
from jobwire_server.config import ConfigError, Loaded, Settings, load

HASH = "sha256:" + hashlib.sha256(b"one").hexdigest()


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def loaded(toml: str = "", environ: dict[str, str] | None = None, **flags: Any) -> Loaded:
    file = Path("given.toml")
    file.write_text(toml)
    named = {f"--{name.replace('_', '-')}": value for name, value in flags.items()}
    return load(file, flags=named, environ=environ or {})


def refused(toml: str = "", environ: dict[str, str] | None = None, **flags: Any) -> str:
    with pytest.raises(ConfigError) as error:
        loaded(toml, environ, **flags)
    return str(error.value)


# --- where a value comes from ----------------------------------------------------------------------------------

TOML = "[http]\nport = 1001\n"
SHORT = {"JOBWIRE_HTTP_PORT": "1002"}
FULL = {"JOBWIRE_HTTP__PORT": "1003"}


@pytest.mark.parametrize(
    ("toml", "environ", "flag", "expected", "origin"),
    [
        ("", {}, None, 6790, "default"),
        (TOML, {}, None, 1001, "given.toml:http.port"),
        (TOML, {"RUSTQUEUE_HTTP_PORT": "1000"}, None, 1000, "env RUSTQUEUE_HTTP_PORT"),
        (TOML, {"RUSTQUEUE_HTTP_PORT": "1000", **SHORT}, None, 1002, "env JOBWIRE_HTTP_PORT"),
        (TOML, {**FULL, **SHORT}, None, 1003, "env JOBWIRE_HTTP__PORT"),
        (TOML, {**FULL, **SHORT}, 1004, 1004, "flag --http-port"),
    ],
)
def test_flags_win_over_environment_over_file_over_defaults(
    toml: str, environ: dict[str, str], flag: int | None, expected: int, origin: str
) -> None:
    found = loaded(toml, environ, http_port=flag)

    assert expected == found.settings.http.port
    assert origin == found.origins["http.port"]


SAMPLES = {
    "test.seed": "7",
    "test.clock_ms": "1800000000000",
    "http.allowed_origins": "https://example.com",
    "http.allowed_hosts": "example.com",
    "http.trusted_proxies": "10.0.0.0/8",
    "auth.tokens": "abc",
}


def test_every_setting_can_be_given_in_the_environment_by_its_full_name() -> None:
    Path("file").write_text("token")
    infos = config.catalogue().values()
    environ = {
        info.env: SAMPLES.get(info.key, "file" if info.default is None else str(info.default))
        for info in infos
    }

    found = load(environ=environ)

    assert {info.key: f"env {info.env}" for info in infos} == found.origins


def test_every_setting_has_a_description_and_an_origin() -> None:
    found = load(environ={})

    assert all(info.description.endswith(".") for info in config.catalogue().values())
    assert {"default"} == set(found.origins.values())
    assert list(config.catalogue()) == list(found.origins)


def test_host_sets_both_doors_and_a_full_name_one_of_them() -> None:
    found = loaded("", {"JOBWIRE_HOST": "::1", "JOBWIRE_TCP__HOST": "127.0.0.2"})

    assert (found.settings.http.host, found.settings.tcp.host) == ("::1", "127.0.0.2")


def test_an_empty_variable_counts_as_not_set() -> None:
    assert loaded("", {"JOBWIRE_TOKENS": ""}).origins["auth.tokens"] == "default"


def test_lists_in_the_environment_are_separated_by_commas() -> None:
    found = loaded("", {"JOBWIRE_HTTP__TRUSTED_PROXIES": "10.0.0.1/8, ::1"})

    assert found.settings.http.trusted_proxies == ("10.0.0.0/8", "::1/128")


def test_a_list_of_nothing_but_commas_is_refused() -> None:
    assert "auth.tokens (env JOBWIRE_TOKENS)" in refused("", {"JOBWIRE_TOKENS": " , "})


def test_jobwire_toml_is_read_when_it_is_there() -> None:
    Path("jobwire.toml").write_text('storage = "memory://"\n')

    found = load(environ={})

    assert found.settings.storage == "memory://"
    assert found.origins["storage"] == "jobwire.toml:storage"


def test_the_environment_can_name_the_file() -> None:
    Path("other.toml").write_text("[jobs]\ntick_ms = 5\n")

    assert load(environ={"JOBWIRE_CONFIG": "other.toml"}).settings.jobs.tick_ms == 5


# --- files that cannot be used ---------------------------------------------------------------------------------


def test_a_named_file_that_is_missing_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml.*No such file"):
        load(Path("nowhere.toml"), environ={})


def test_a_file_named_by_the_environment_that_is_missing_is_an_error() -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load(environ={"JOBWIRE_CONFIG": "nowhere.toml"})


def test_a_folder_in_the_place_of_the_default_file_is_an_error() -> None:
    Path("jobwire.toml").mkdir()

    with pytest.raises(ConfigError, match=r"jobwire\.toml.*directory"):
        load(environ={})


@pytest.mark.parametrize("content", [b"storage = ", b"\xff\xfe"])
def test_a_file_that_is_not_toml_is_an_error(content: bytes) -> None:
    Path("bad.toml").write_bytes(content)

    with pytest.raises(ConfigError, match="not TOML"):
        load(Path("bad.toml"), environ={})


# --- unknown names ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("toml", "expected"),
    [
        (
            "[auth]\ntoken = ['x']",
            "auth.token (given.toml): there is no such setting; did you mean auth.tokens?",
        ),
        ("[http]\nprot = 1", "did you mean http.port?"),
        ("port = 1", "did you mean http.port?"),
        ("[server]\nhttp_port = 1", "did you mean http.port?"),
        ("http = 5", "http (given.toml): there is no such setting"),
        (
            "[http.port]\nx = 1",
            "http.port.x (given.toml): there is no such setting; did you mean http.port?",
        ),
        (
            "[qqqq]",
            "qqqq (given.toml): there is no such setting; `jobwire config show` lists every setting",
        ),
    ],
)
def test_an_unknown_key_of_the_file_is_an_error_with_a_suggestion(toml: str, expected: str) -> None:
    assert expected in refused(toml)


@pytest.mark.parametrize(
    ("name", "guess"),
    [
        ("JOBWIRE_TOKEN_S", "JOBWIRE_TOKENS"),
        ("JOBWIRE_HTTP__PROT", "JOBWIRE_HTTP__PORT"),
        ("JOBWIRE_http__port", "JOBWIRE_HTTP__PORT"),
        ("JOBWIRE_STORAGES", "JOBWIRE_STORAGE"),
    ],
)
def test_an_unknown_name_of_the_environment_is_an_error_with_a_suggestion(
    name: str, guess: str
) -> None:
    assert f"{name} (environment): there is no such setting; did you mean {guess}?" in refused(
        "", {name: "1"}
    )


def test_all_unknown_names_are_reported_at_once() -> None:
    with pytest.raises(ConfigError) as error:
        loaded("a = 1\nb = 2")

    assert [problem.key for problem in error.value.problems] == ["a", "b"]


def test_names_that_clients_read_are_known() -> None:
    environ = {"JOBWIRE_URL": "http://h", "JOBWIRE_TOKEN": "t", "RUSTQUEUE_ANYTHING": "1"}

    assert Settings() == loaded("", environ).settings


# --- values that cannot be -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("toml", "expected"),
    [
        ("[jobs]\ntick_ms = 0", "jobs.tick_ms (given.toml:jobs.tick_ms): too small; set 1 or more"),
        ("[http]\nport = 65536", "too large; set 65535 or less"),
        ("[http]\nport = true", "give a whole number, not true or false"),
        ("[http]\nport = 'x'", "give a whole number, such as 6790"),
        ("[server]\nread_timeout_ms = 0", "too small; set 1 or more"),
        ("[jobs]\nlease_ms = 999", "too small; set 1000 or more"),
        ("[jobs]\njitter = 1.5", "too large; set 1.0 or less"),
        ("[jobs]\nbackoff = 'random'", "give one of 'fixed', 'linear' or 'exponential'"),
        ("[auth]\nrequire_lease = 'perhaps'", "give true or false"),
        ("[http]\nhost = 'a:b c'", "give an address such as"),
        ("[http]\nallowed_origins = ['*']", "give each origin as scheme://host[:port]"),
        ("[http]\ntrusted_proxies = ['10.0.0.0/99']", "is no network"),
        ("[auth]\ntokens = ['']", "a token is 1 to 1024 visible ASCII characters"),
        ("[auth]\ntokens = ['a b']", "a token is 1 to 1024 visible ASCII characters"),
        ("[auth]\ntokens = ['sha256:abc']", "64 lower-case hex digits"),
        ("[sqlite]\nsynchronous = 'never'", "give one of 'full', 'normal' or 'off'"),
        ("storage = 'postgresql://u:secret@h/d'", "unsupported storage 'postgresql'"),
        ("storage = 'sqlite:///:memory:'", "give memory:// to keep nothing"),
        ("storage = 7", "give a text in quotes"),
        ("[tcp]\nport = 6790", "it is http.port too; give each door its own port"),
        (
            "[http]\ntls_cert = 'none.pem'",
            "http.tls_key (default): TLS needs a certificate and a key",
        ),
        ("[http]\ntls_cert = 'none.pem'", "cannot read none.pem"),
        ("[http]\ntls_cert = '.'", "give the path of a file"),
        ('[auth]\ntokens_file = "\\u0000"', "give the path of a file"),
    ],
)
def test_a_wrong_value_is_an_error_that_names_the_setting_and_the_fix(
    toml: str, expected: str
) -> None:
    assert expected in refused(toml)


def test_every_wrong_value_is_reported_at_once() -> None:
    with pytest.raises(ConfigError) as error:
        loaded("[http]\nport = -1\n[jobs]\ntick_ms = 0")

    assert [problem.key for problem in error.value.problems] == ["http.port", "jobs.tick_ms"]


def test_port_zero_may_stand_twice() -> None:
    settings = loaded("[http]\nport = 0\n[tcp]\nport = 0").settings

    assert settings.http.port == settings.tcp.port == 0


def test_settings_cannot_be_changed() -> None:
    settings = Settings()

    with pytest.raises(ValueError, match="frozen"):
        settings.storage = "memory://"
    with pytest.raises(ValueError, match="frozen"):
        settings.http.port = 1


def test_settings_made_by_hand_read_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBWIRE_STORAGE", "memory://")

    assert Settings().storage == "sqlite:///./jobwire.db"


# --- who may connect -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost", "::ffff:127.0.0.1"])
def test_a_loopback_address_needs_no_token(host: str) -> None:
    assert host == loaded("", {"JOBWIRE_HOST": host}).settings.http.host


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "10.1.2.3", "example.com", "localhost.example.com"]
)
def test_an_address_that_others_reach_needs_a_token(host: str) -> None:
    message = refused("", {"JOBWIRE_HOST": host})

    assert (
        f"http.host (env JOBWIRE_HOST): {host} can be reached by others and no token is set"
        in message
    )
    assert "tcp.host (env JOBWIRE_HOST)" in message


@pytest.mark.parametrize("extra", [{"JOBWIRE_TOKENS": "abc"}, {"JOBWIRE_INSECURE": "true"}])
def test_a_token_or_insecure_opens_the_address(extra: dict[str, str]) -> None:
    assert loaded("", {"JOBWIRE_HOST": "0.0.0.0", **extra}).settings.http.host == "0.0.0.0"


def test_a_file_with_a_token_opens_the_address() -> None:
    Path("tokens").write_text(f"# ours\none  # a comment\n\n{HASH}\ntwo\n")

    auth = loaded("", {"JOBWIRE_HOST": "::", "JOBWIRE_TOKENS_FILE": "tokens"}).settings.auth

    expected = (hashlib.sha256(b"one").digest(), hashlib.sha256(b"two").digest())
    assert expected == config.token_hashes(auth)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "No such file"),
        (b"# nothing\n", "it holds no token"),
        (b"canary secret\n", "visible ASCII"),
        (b"\xff", "not UTF-8"),
    ],
)
def test_a_file_of_tokens_that_cannot_be_used_is_an_error(
    content: bytes | None, expected: str
) -> None:
    if content is not None:
        Path("tokens").write_bytes(content)

    message = refused("", {"JOBWIRE_TOKENS_FILE": "tokens"})

    assert expected in message
    assert "canary" not in message


# --- secrets ---------------------------------------------------------------------------------------------------


def test_no_token_is_shown() -> None:
    found = loaded("[auth]\ntokens = ['canary-1', 'canary-2']")

    assert found.value("auth.tokens") == ["********", "********"]
    assert "canary" not in repr(found) + str(found.settings) + found.settings.model_dump_json()


@pytest.mark.parametrize("token", ["canary secret", "sha256:canary"])
def test_no_token_is_shown_by_an_error(token: str) -> None:
    assert "canary" not in refused(f"[auth]\ntokens = ['{token}']")


def test_no_password_of_a_url_is_shown() -> None:
    assert config.mask_url("redis://u:canary@h:1/0") == "redis://u:********@h:1/0"
    assert "canary" not in refused("storage = 'postgresql://u:canary@h/d'")
