from __future__ import annotations

from typing import TYPE_CHECKING

from tests.proof.stolen import Again

if TYPE_CHECKING:
    import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Again())
