"""
Settings: what they are, where they come from, and what is wrong with them.

Priority: flags, then the environment, then the TOML file, then the defaults. `load()` is the only reader; the rest of the
program gets one frozen `Settings`. An unknown name anywhere is an error, because a misspelt `tokens` that is silently
ignored is an open server. Every problem is reported at once, with the name of the setting, where its value came from, and
what to write in its place.
"""

from __future__ import annotations

import difflib
import hashlib
import ipaddress
import os
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NamedTuple
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from jobwire_server.store import urls
from jobwire_server.wire import limits

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

DEFAULT_FILE: Final = "jobwire.toml"
PREFIX: Final = "JOBWIRE_"
MASK: Final = "********"
MIB: Final = 1024 * 1024

# Flags of `jobwire serve` and the settings that each gives.
FLAGS: Final[dict[str, tuple[str, ...]]] = {
    "--storage": ("storage",),
    "--host": ("http.host", "tcp.host"),
    "--http-port": ("http.port",),
    "--tcp-port": ("tcp.port",),
    "--token": ("auth.tokens",),
    "--tokens-file": ("auth.tokens_file",),
    "--insecure": ("auth.insecure",),
    "--log-level": ("log.level",),
    "--log-format": ("log.format",),
}

# Other spellings, weakest first: a later name wins over an earlier one, and the full name JOBWIRE_SECTION__KEY over all.
SHORT_NAMES: Final[dict[str, tuple[str, ...]]] = {
    "RUSTQUEUE_HOST": ("http.host", "tcp.host"),
    "RUSTQUEUE_HTTP_PORT": ("http.port",),
    "RUSTQUEUE_TCP_PORT": ("tcp.port",),
    "JOBWIRE_HOST": ("http.host", "tcp.host"),
    "JOBWIRE_HTTP_PORT": ("http.port",),
    "JOBWIRE_TCP_PORT": ("tcp.port",),
    "JOBWIRE_TOKENS": ("auth.tokens",),
    "JOBWIRE_TOKENS_FILE": ("auth.tokens_file",),
    "JOBWIRE_INSECURE": ("auth.insecure",),
    "JOBWIRE_LOG_LEVEL": ("log.level",),
    "JOBWIRE_LOG_FORMAT": ("log.format",),
}

# Names of the environment that are not settings of the server: the file, and what clients read.
OTHER_NAMES: Final = ("JOBWIRE_CONFIG", "JOBWIRE_URL", "JOBWIRE_TOKEN")


class Problem(NamedTuple):
    """One thing that is wrong: the setting, where its value came from, and what to do."""

    key: str
    origin: str
    message: str

    def __str__(self) -> str:
        return f"{self.key} ({self.origin}): {self.message}"


class ConfigError(Exception):
    """The configuration cannot be used; `problems` has all that is wrong with it. `jobwire` exits 2."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


# --- kinds of values -------------------------------------------------------------------------------------------


def _not_bool(value: object) -> object:
    """TOML's `true` is no number, though Python's True is."""
    if isinstance(value, bool):
        raise ValueError("give a whole number, not true or false")
    return value


def _split(value: object) -> object:
    """A list in an environment variable is separated by commas."""
    if not isinstance(value, str):
        return value
    parts = [part for raw in value.split(",") if (part := raw.strip())]
    if not parts:
        raise ValueError("give values with commas between them, or leave it out")
    return parts


def _host(host: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._:%-]+", host):
        raise ValueError(
            "give an address such as 127.0.0.1, ::1 or 0.0.0.0, without a port or brackets"
        )
    return host


def _origin(origin: str) -> str:
    if not re.fullmatch(r"https?://[^/?#\s@*]+", origin):
        raise ValueError(
            "give each origin as scheme://host[:port], such as https://admin.example.com"
        )
    return origin.lower()


def _file(path: Path) -> Path:
    if str(path) in ("", ".") or "\0" in str(path):
        raise ValueError("give the path of a file, or leave it out")
    return path


def _network(network: str) -> str:
    try:
        return str(ipaddress.ip_network(network, strict=False))
    except ValueError:
        raise ValueError(
            f"'{network}' is no network; give addresses such as 10.0.0.0/8 or ::1"
        ) from None


def _token(token: SecretStr) -> SecretStr:
    """Never says the token itself: messages end in logs and on screens."""
    text = token.get_secret_value()
    if text.startswith("sha256:") and not re.fullmatch(r"sha256:[0-9a-f]{64}", text):
        raise ValueError("a hashed token is sha256: and 64 lower-case hex digits")
    if not re.fullmatch(rf"[!-~]{{1,{limits.TOKEN_BYTES}}}", text):
        raise ValueError(
            f"a token is 1 to {limits.TOKEN_BYTES} visible ASCII characters, without spaces; "
            "make one with: openssl rand -hex 32"
        )
    return token


def _storage(url: str) -> str:
    path = urls.parse(url).path
    if path == ":memory:":  # SQLite's own word, which would lose every job quietly
        raise ValueError("give memory:// to keep nothing, or sqlite:///./jobwire.db")
    return url


Whole = Annotated[int, BeforeValidator(_not_bool)]
Port = Annotated[Whole, Field(ge=0, le=65535)]
Count = Annotated[Whole, Field(ge=1, le=1_000_000)]
Ms = Annotated[Whole, Field(ge=1, le=limits.DURATION_MS)]
MsOrNever = Annotated[Whole, Field(ge=0, le=limits.DURATION_MS)]
Bytes = Annotated[Whole, Field(ge=64 * 1024, le=1024 * MIB)]
# A job with the most of everything has some 5 MiB in an answer, and must have room in one.
AnswerBytes = Annotated[Whole, Field(ge=8 * MIB, le=1024 * MIB)]
File = Annotated[Path, AfterValidator(_file)]
Host = Annotated[str, AfterValidator(_host)]
Hosts = Annotated[tuple[Host, ...], BeforeValidator(_split)]
Origins = Annotated[tuple[Annotated[str, AfterValidator(_origin)], ...], BeforeValidator(_split)]
Networks = Annotated[tuple[Annotated[str, AfterValidator(_network)], ...], BeforeValidator(_split)]
Tokens = Annotated[
    tuple[Annotated[SecretStr, AfterValidator(_token)], ...], BeforeValidator(_split)
]
Backoff = Literal["fixed", "linear", "exponential"]


# --- the settings ----------------------------------------------------------------------------------------------


class Section(BaseModel):
    """A table of the TOML file."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=True
    )


class SqliteSettings(Section):
    """The SQLite store."""

    synchronous: Literal["full", "normal", "off"] = Field(
        "full",
        description="When a commit reaches the disk. full: before it is answered, so that no accepted job is lost. "
        "normal: a crash of the machine may lose the last commits. off: it may also damage the file.",
    )


class HttpSettings(Section):
    """The HTTP door."""

    host: Host = Field(
        "127.0.0.1", description="Address to listen on. One that others can reach needs a token."
    )
    port: Port = Field(6790, description="Port to listen on; 0 takes a free one.")
    allowed_origins: Origins = Field(
        (), description="Origins of browser pages that may call the API, as scheme://host[:port]."
    )
    allowed_hosts: Hosts = Field(
        (),
        description="Names that a Host header may have where no token is set, besides localhost and http.host.",
    )
    trusted_proxies: Networks = Field(
        (), description="Networks whose X-Forwarded-For header tells the client's address."
    )
    max_connections: Count = Field(10_000, description="Connections at a time; more are refused.")
    tls_cert: File | None = Field(
        None, description="Certificate chain, a PEM file; with http.tls_key it turns TLS on."
    )
    tls_key: File | None = Field(None, description="Private key of http.tls_cert, a PEM file.")


class TcpSettings(Section):
    """The TCP door."""

    host: Host = Field(
        "127.0.0.1", description="Address to listen on. One that others can reach needs a token."
    )
    port: Port = Field(6789, description="Port to listen on; 0 takes a free one.")
    max_connections: Count = Field(10_000, description="Connections at a time; more are refused.")
    tls_cert: File | None = Field(
        None, description="Certificate chain, a PEM file; with tcp.tls_key it turns TLS on."
    )
    tls_key: File | None = Field(None, description="Private key of tcp.tls_cert, a PEM file.")


class ServerSettings(Section):
    """Limits that both doors share."""

    read_timeout_ms: Ms = Field(
        30_000, description="How long headers, a body, or a line that was begun may take to arrive."
    )
    unauthenticated_timeout_ms: Ms = Field(
        10_000,
        description="How long a TCP connection may stay without a token, where one is needed.",
    )
    idle_timeout_ms: MsOrNever = Field(
        600_000,
        description="When a TCP connection with nothing in flight and nothing sent is closed; 0 means never.",
    )
    drain_timeout_ms: MsOrNever = Field(
        30_000, description="How long running requests may take to end after SIGTERM."
    )
    max_in_flight: Count = Field(
        1_000, description="Requests in flight a TCP connection; more are not read."
    )
    max_response_bytes: AnswerBytes = Field(
        64 * MIB,
        description="Size of one answer; a pull or a page that would pass it has fewer jobs. Any one job fits into 8 MiB.",
    )
    write_buffer_bytes: Bytes = Field(
        8 * MIB,
        description="Output that a slow reader may leave unread before the server stops reading from it.",
    )


class AuthSettings(Section):
    """Who may call."""

    tokens: Tokens = Field(
        (),
        description="Bearer tokens, each in plain text or as sha256: and the 64 hex digits of its hash.",
    )
    tokens_file: File | None = Field(
        None, description="File with one token a line, as in auth.tokens; # starts a comment."
    )
    require_lease: bool = Field(
        False,
        description="Refuse ack, fail, release, heartbeat and progress without a lease. RustQueue's clients send none.",
    )
    insecure: bool = Field(
        False, description="Listen on an address that others can reach although no token is set."
    )


class JobsSettings(Section):
    """What a job gets when its push, its pull or its queue does not say."""

    lease_ms: Annotated[Whole, Field(ge=limits.LEASE_MS_MIN, le=limits.LEASE_MS_MAX)] = Field(
        limits.DEFAULT_LEASE_MS,
        description="How long a pulled job is its worker's without a heartbeat.",
    )
    max_attempts: Annotated[Whole, Field(ge=1, le=limits.MAX_ATTEMPTS)] = Field(
        limits.DEFAULT_MAX_ATTEMPTS, description="Tries before a job goes to the dead letters."
    )
    backoff: Backoff = Field(
        limits.DEFAULT_BACKOFF,
        description="How the wait grows from one retry to the next.",
    )
    backoff_delay_ms: MsOrNever = Field(
        limits.DEFAULT_BACKOFF_DELAY_MS, description="The wait before the first retry."
    )
    backoff_max_ms: MsOrNever = Field(
        limits.DEFAULT_BACKOFF_MAX_MS, description="The longest wait before a retry."
    )
    jitter: float = Field(
        limits.DEFAULT_JITTER,
        ge=0,
        le=1,
        description="The part of each wait that is drawn at random, 0 to 1.",
    )
    retention_completed_ms: MsOrNever = Field(
        limits.DEFAULT_RETENTION_COMPLETED_MS, description="How long a completed job is kept."
    )
    retention_dlq_ms: MsOrNever = Field(
        limits.DEFAULT_RETENTION_DLQ_MS, description="How long a dead letter is kept."
    )
    retention_cancelled_ms: MsOrNever = Field(
        limits.DEFAULT_RETENTION_CANCELLED_MS, description="How long a cancelled job is kept."
    )
    tick_ms: Annotated[Whole, Field(ge=1, le=60_000)] = Field(
        1_000,
        description="How often at the latest the server looks for jobs that are due and leases that ran out.",
    )


class LogSettings(Section):
    """The server's own log, on stderr."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least that is logged."
    )
    format: Literal["auto", "pretty", "json"] = Field(
        "auto", description="pretty is for people, json for programs; auto is pretty on a terminal."
    )


class Settings(BaseSettings):
    """Everything that can be set, validated and frozen. Made by `load()`; a test may call it with sections as keywords."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        validate_default=True,
    )

    storage: Annotated[str, AfterValidator(_storage)] = Field(
        "sqlite:///./jobwire.db",
        description="Where jobs are kept: sqlite:///relative.db, sqlite:////absolute.db, or memory:// for tests.",
    )
    sqlite: SqliteSettings = SqliteSettings()
    http: HttpSettings = HttpSettings()
    tcp: TcpSettings = TcpSettings()
    server: ServerSettings = ServerSettings()
    auth: AuthSettings = AuthSettings()
    jobs: JobsSettings = JobsSettings()
    log: LogSettings = LogSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only the keywords: load() reads the sources, since it must know which of them gave each value."""
        return (init_settings,)


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingInfo:
    """One setting, for whoever lists them: its dotted key, its names elsewhere, and what it means."""

    key: str
    env: str
    short_env: tuple[str, ...]
    flag: str | None
    default: Any
    description: str
    section: type[BaseModel]


def catalogue() -> dict[str, SettingInfo]:
    """Every setting by its dotted key, in the order of the classes above."""
    return {info.key: info for info in _describe(Settings, "")}


def _describe(section: type[BaseModel], prefix: str) -> Iterator[SettingInfo]:
    for name, field in section.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield from _describe(field.annotation, f"{name}.")
            continue
        key = prefix + name
        yield SettingInfo(
            key=key,
            env=PREFIX + key.replace(".", "__").upper(),
            short_env=tuple(short for short, keys in SHORT_NAMES.items() if key in keys),
            flag=next((flag for flag, keys in FLAGS.items() if key in keys), None),
            default=field.default,
            description=field.description or "",
            section=section,
        )


# --- reading the sources ---------------------------------------------------------------------------------------


class Given(NamedTuple):
    """A value as a source gave it, and where it stood: `flag --x`, `env NAME`, `file:key`."""

    value: Any
    origin: str


Layer = dict[str, Given]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """Settings, and for each dotted key the place that its value came from (`default` where none was given)."""

    settings: Settings
    origins: Mapping[str, str]
    file: Path | None

    def value(self, key: str) -> Any:
        """The value of a dotted key as it may be shown: tokens and passwords masked, paths as text."""
        found: Any = self.settings
        for part in key.split("."):
            found = getattr(found, part)
        return presentable(found)


def load(
    config: Path | None = None,
    *,
    flags: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Loaded:
    """
    Read and check the whole configuration.

    `config` is a file that must be there; without it JOBWIRE_CONFIG is one, and else ./jobwire.toml is read if it exists.
    `flags` has values by the names of FLAGS; None means that the flag was not given. Empty variables count as not set.

    Raises:
        ConfigError: Something is wrong; it lists every problem that was found.
    """
    environ = os.environ if environ is None else environ
    path = _config_path(config, environ)
    layers = (
        _file_layer(path) if path else {},
        _environment_layer(environ),
        _flag_layer(flags or {}),
    )
    given = {key: found for layer in layers for key, found in layer.items()}
    origins = {key: given[key].origin if key in given else "default" for key in catalogue()}
    settings = _validated(given, origins)
    _check_together(settings, origins)
    return Loaded(settings=settings, origins=origins, file=path)


def _config_path(config: Path | None, environ: Mapping[str, str]) -> Path | None:
    if config is not None:
        return config
    if named := environ.get("JOBWIRE_CONFIG"):
        return Path(named)
    default = Path(DEFAULT_FILE)
    return default if default.exists() else None


def _flag_layer(flags: Mapping[str, Any]) -> Layer:
    given = ((flag, value) for flag, value in flags.items() if value is not None)
    return {key: Given(value, f"flag {flag}") for flag, value in given for key in FLAGS[flag]}


def _environment_layer(environ: Mapping[str, str]) -> Layer:
    full_names = {info.env: (info.key,) for info in catalogue().values()}
    known = SHORT_NAMES | full_names
    unknown = sorted(
        name for name in environ if name.startswith(PREFIX) and name not in {*known, *OTHER_NAMES}
    )
    if unknown:
        candidates = [*known, *OTHER_NAMES]
        raise ConfigError(*(_unknown(name, "environment", candidates) for name in unknown))
    found = ((name, keys) for name, keys in known.items() if environ.get(name))
    return {key: Given(environ[name], f"env {name}") for name, keys in found for key in keys}


def _file_layer(path: Path) -> Layer:
    flat = dict(_flatten(_read_toml(path), ""))
    known = catalogue()
    strange = [key for key in flat if key not in known]
    if strange:
        raise ConfigError(*(_unknown(key, str(path), [*known]) for key in strange))
    return {key: Given(value, f"{path}:{key}") for key, value in flat.items()}


def _read_toml(path: Path) -> dict[str, Any]:
    fix = "name a file that this user can read, or leave --config out to use ./jobwire.toml or the defaults"
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        message = f"cannot read it ({error.strerror}); {fix}"
        raise ConfigError(Problem("configuration file", str(path), message)) from error
    except ValueError as error:  # of TOML, of UTF-8, or of a path that can be none
        raise ConfigError(Problem("configuration file", str(path), f"not TOML: {error}")) from error


def _flatten(table: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    """Dotted keys of nested tables. A table in the place of a value shows as its keys, which are unknown."""
    for name, value in table.items():
        if isinstance(value, dict) and (value or _is_section(prefix + name)):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _is_section(key: str) -> bool:
    return any(known.startswith(f"{key}.") for known in catalogue())


def _unknown(name: str, origin: str, candidates: Sequence[str]) -> Problem:
    guess = suggestion(name, candidates)
    hint = f"did you mean {guess}?" if guess else "`jobwire config show` lists every setting"
    return Problem(name, origin, f"there is no such setting; {hint}")


def suggestion(name: str, candidates: Sequence[str]) -> str | None:
    """The candidate that is most like a misspelt name: in spelling, or in its part after the section."""
    spelled = {candidate.lower(): candidate for candidate in candidates}
    last = {_last(candidate): candidate for candidate in reversed(candidates)}
    for word, places, cutoff in (
        (name.lower(), spelled, 0.75),
        (_last(name), last, 0.75),
        (name.lower(), spelled, 0.6),
    ):
        if near := difflib.get_close_matches(word, places, n=1, cutoff=cutoff):
            return places[near[0]]
    return None


def _last(name: str) -> str:
    """The part after the section, in lower case."""
    return re.split(r"\.|__", name.removeprefix(PREFIX))[-1].lower()


# --- checking --------------------------------------------------------------------------------------------------

# What pydantic found, as a sentence that says what to write. {…} are members of the error's context.
_SENTENCES: Final = {
    "greater_than_equal": "too small; set {ge} or more",
    "less_than_equal": "too large; set {le} or less",
    "int_parsing": "give a whole number, such as {default}",
    "int_type": "give a whole number, such as {default}",
    "int_from_float": "give a whole number, such as {default}",
    "float_parsing": "give a number, such as {default}",
    "float_type": "give a number, such as {default}",
    "bool_parsing": "give true or false",
    "bool_type": "give true or false",
    "literal_error": "give one of {expected}",
    "string_type": "give a text in quotes",
    "tuple_type": "give a list",
    "path_type": "give the path of a file in quotes",
    "value_error": "{error}",
}


def _validated(given: Mapping[str, Given], origins: Mapping[str, str]) -> Settings:
    nested: dict[str, Any] = {}
    for key, found in given.items():
        section, _, name = key.rpartition(".")
        place = nested.setdefault(section, {}) if section else nested
        place[name] = found.value
    try:
        return Settings(**nested)
    except ValidationError as error:
        raise ConfigError(*_problems(error, origins)) from None


def _problems(error: ValidationError, origins: Mapping[str, str]) -> Iterator[Problem]:
    known = catalogue()
    for found in error.errors(include_url=False, include_input=False):
        key = ".".join(part for part in found["loc"] if isinstance(part, str))
        context = {"default": known[key].default, **found.get("ctx", {})}
        sentence = _SENTENCES.get(found["type"], found["msg"].replace("{", "{{").replace("}", "}}"))
        yield Problem(key, origins[key], sentence.format(**context))


def _check_together(settings: Settings, origins: Mapping[str, str]) -> None:
    """What no single setting can say."""
    problems = [
        *_tls_problems(settings, origins),
        *_port_problems(settings, origins),
        *_open_door_problems(settings, origins),
    ]
    if problems:
        raise ConfigError(*problems)


def _tls_problems(settings: Settings, origins: Mapping[str, str]) -> Iterator[Problem]:
    for name, door in (("http", settings.http), ("tcp", settings.tcp)):
        files = {f"{name}.tls_cert": door.tls_cert, f"{name}.tls_key": door.tls_key}
        for key, path in files.items():
            if path is None and any(files.values()):
                yield Problem(
                    key, origins[key], "TLS needs a certificate and a key; set both or neither"
                )
            if path is not None and not (path.is_file() and os.access(path, os.R_OK)):
                yield Problem(
                    key,
                    origins[key],
                    f"cannot read {path}; give a PEM file that this user can read",
                )


def _port_problems(settings: Settings, origins: Mapping[str, str]) -> Iterator[Problem]:
    if settings.http.port == settings.tcp.port != 0:
        yield Problem(
            "tcp.port", origins["tcp.port"], "it is http.port too; give each door its own port"
        )


def _open_door_problems(settings: Settings, origins: Mapping[str, str]) -> Iterator[Problem]:
    if token_hashes(settings.auth) or settings.auth.insecure:
        return
    for key, host in (("http.host", settings.http.host), ("tcp.host", settings.tcp.host)):
        if not is_loopback(host):
            yield Problem(
                key,
                origins[key],
                f"{host} can be reached by others and no token is set; set auth.tokens (JOBWIRE_TOKENS), "
                "listen on 127.0.0.1, or allow it with auth.insecure (--insecure)",
            )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a listener on `host`. Names other than localhost count as reachable."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host.lower() == "localhost"
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


# --- tokens and other secrets ----------------------------------------------------------------------------------


def token_hashes(auth: AuthSettings) -> tuple[bytes, ...]:
    """
    The SHA-256 of each token of auth.tokens and of auth.tokens_file, read anew at each call; () when none is set.

    Raises ConfigError when the file cannot be read, holds no token, or holds something that cannot be one.
    """
    secrets = [*auth.tokens, *(_tokens_of_file(auth.tokens_file) if auth.tokens_file else ())]
    return tuple(dict.fromkeys(_hash(secret.get_secret_value()) for secret in secrets))


def _hash(token: str) -> bytes:
    if token.startswith("sha256:"):
        return bytes.fromhex(token.removeprefix("sha256:"))
    return hashlib.sha256(token.encode()).digest()


def _tokens_of_file(path: Path) -> tuple[SecretStr, ...]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        tokens = tuple(
            _token(SecretStr(line)) for raw in lines if (line := raw.partition("#")[0].strip())
        )
    except OSError as error:
        message = f"cannot read {path} ({error.strerror}); name a file with one token a line"
        raise ConfigError(Problem("auth.tokens_file", str(path), message)) from error
    except (
        ValueError
    ) as error:  # also what is not UTF-8; its text would show the file, so only ours is said
        message = "not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
        raise ConfigError(Problem("auth.tokens_file", str(path), message)) from None
    if not tokens:
        raise ConfigError(
            Problem("auth.tokens_file", str(path), "it holds no token; write one a line")
        )
    return tokens


def presentable(value: Any) -> Any:
    """A setting's value as JSON types, safe to show: tokens masked, passwords in URLs too."""
    if isinstance(value, SecretStr):
        return MASK
    if isinstance(value, tuple):
        return [presentable(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    return mask_url(value) if isinstance(value, str) else value


def mask_url(text: str) -> str:
    """The same URL with its password masked."""
    parts = urlsplit(text) if "://" in text else None
    if parts is None or "@" not in parts.netloc:
        return text
    user = parts.netloc.rpartition("@")[0].partition(":")[0]
    return parts._replace(netloc=f"{user}:{MASK}@{parts.netloc.rpartition('@')[2]}").geturl()
