"""
The settings themselves: every one with its kind, its default and its description, in the sections of the TOML file.

Only declarations live here. Reading them is the work of `loading`, and what needs two settings to judge stands in `checks`.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from jobwire_server.config.kinds import (
    MIB,
    AnswerBytes,
    Backoff,
    Bytes,
    Count,
    File,
    Host,
    Hosts,
    Ms,
    MsOrNever,
    Networks,
    Origins,
    Port,
    Storage,
    Tokens,
    Whole,
)
from jobwire_server.wire import limits

PREFIX: Final = "JOBWIRE_"
LAST_INSTANT_MS: Final = 253_000_000_000_000  # in the year 9987: RFC 3339 ends with 9999


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


class TestSettings(Section):
    """Test mode: a clock that a test moves, and faults on demand. For tests alone; see test-mode.md."""

    enabled: bool = Field(
        False,
        description="Open the control API, by which a program on this machine may stop the clock, break answers and delete every job.",
    )
    port: Port = Field(0, description="Port of the control API on 127.0.0.1; 0 takes a free one.")
    seed: Annotated[Whole, Field(ge=0)] | None = Field(
        None, description="Makes ids and jitter the same in each run."
    )
    clock_ms: Annotated[Whole, Field(ge=0, le=LAST_INSTANT_MS)] | None = Field(
        None,
        description="Start with the clock standing at this instant, in ms since the epoch; for a restart in virtual time.",
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

    storage: Storage = Field(
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
    test: TestSettings = TestSettings()

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
