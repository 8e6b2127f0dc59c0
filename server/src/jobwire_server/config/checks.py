"""
What no single setting can say: TLS files in pairs, two ports apart, no open door without a token, none at all in test mode.

A rule about one value alone belongs to its kind, in `kinds`.
"""

from __future__ import annotations

import ipaddress
import os
from typing import TYPE_CHECKING

from jobwire_server.config.problems import ConfigError, Problem
from jobwire_server.config.tokens import token_hashes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from jobwire_server.config.settings import Settings


def check_together(settings: Settings, origins: Mapping[str, str]) -> None:
    """Raise ConfigError with every problem that settings have with each other."""
    problems = [
        *_tls_problems(settings, origins),
        *_port_problems(settings, origins),
        *_open_door_problems(settings, origins),
        *_test_mode_problems(settings, origins),
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


def _test_mode_problems(settings: Settings, origins: Mapping[str, str]) -> Iterator[Problem]:
    """A server whose jobs anyone on the machine may delete must not be one that others rely on, tokens or not (JW-TEST-2)."""
    if not settings.test.enabled:
        return
    for key, door in (("http", settings.http), ("tcp", settings.tcp)):
        if not is_loopback(door.host):
            yield Problem(
                f"{key}.host",
                origins[f"{key}.host"],
                f"{door.host} can be reached by others, which test mode forbids; listen on 127.0.0.1, or leave test.enabled (--test-mode) out",
            )
        if settings.test.port == door.port != 0:
            yield Problem(
                "test.port",
                origins["test.port"],
                f"it is {key}.port too; give the control API its own port",
            )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a listener on `host`. Names other than localhost count as reachable."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host.lower() == "localhost"
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
