"""
Settings: what they are, where they come from, and what is wrong with them.

Priority: flags, then the environment, then the TOML file, then the defaults. `load()` is the only reader; the rest of the
program gets one frozen `Settings`. An unknown name anywhere is an error, because a misspelt `tokens` that is silently
ignored is an open server. Every problem is reported at once, with the name of the setting, where its value came from, and
what to write in its place.

    kinds → settings → names → problems → sources → loading
                                        → tokens → checks ↗
                                           masking ↗

The names below are all that the rest of the program needs; nothing else is written in this file.
"""

from __future__ import annotations

from jobwire_server.config.checks import is_loopback
from jobwire_server.config.loading import Loaded, load
from jobwire_server.config.masking import mask_url, presentable
from jobwire_server.config.names import FLAGS, SHORT_NAMES, SettingInfo, catalogue
from jobwire_server.config.problems import ConfigError, Problem
from jobwire_server.config.settings import (
    LAST_INSTANT_MS,
    AuthSettings,
    HttpSettings,
    JobsSettings,
    LogSettings,
    ServerSettings,
    Settings,
    SqliteSettings,
    TcpSettings,
    TestSettings,
)
from jobwire_server.config.tokens import token_hashes

__all__ = [
    "FLAGS",
    "LAST_INSTANT_MS",
    "SHORT_NAMES",
    "AuthSettings",
    "ConfigError",
    "HttpSettings",
    "JobsSettings",
    "Loaded",
    "LogSettings",
    "Problem",
    "ServerSettings",
    "SettingInfo",
    "Settings",
    "SqliteSettings",
    "TcpSettings",
    "TestSettings",
    "catalogue",
    "is_loopback",
    "load",
    "mask_url",
    "presentable",
    "token_hashes",
]
