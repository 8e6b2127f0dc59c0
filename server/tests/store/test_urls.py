"""Storage URLs."""

from __future__ import annotations

import pytest

from jobwire_server.store.urls import FORMS, StorageURL, parse


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///jobs.db", "jobs.db"),
        ("sqlite:///./jobs.db", "./jobs.db"),
        ("sqlite:///data/jobs.db", "data/jobs.db"),
        ("sqlite:////var/lib/jobs.db", "/var/lib/jobs.db"),
        ("sqlite:///a%20b%3F.db", "a b?.db"),
    ],
)
def test_a_sqlite_url_names_a_file(url: str, path: str) -> None:
    assert StorageURL("sqlite", path) == parse(url)


@pytest.mark.parametrize("url", ["memory://", "memory:", "memory:///"])
def test_memory_has_no_path(url: str) -> None:
    assert StorageURL("memory") == parse(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "jobs.db",
        "/var/lib/jobs.db",
        "sqlite://jobs.db",
        "sqlite:///",
        "sqlite:////data/",
        "sqlite:///a%00b",
        "postgresql://u:secret@h/db",
        "mysql://h/db",
        "sqlite:///jobs.db?mode=ro",
        "http://[",
    ],
)
def test_anything_else_names_the_supported_forms(url: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse(url)

    assert FORMS in str(caught.value)
    assert "secret" not in str(caught.value)


def test_memory_with_a_path_is_refused() -> None:
    with pytest.raises(ValueError, match="takes no path"):
        parse("memory://jobs.db")
