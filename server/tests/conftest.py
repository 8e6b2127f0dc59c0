from __future__ import annotations

import pytest
from hypothesis import settings

# What a machine under load takes 200 ms for is no fault. The rest as Hypothesis has it here, or in CI.
settings.register_profile("without a deadline", parent=settings(), deadline=None)
settings.load_profile("without a deadline")

# The doors are tested on both event loops; before each commit on that of the product only.
SECOND_LOOP = "asyncio"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if SECOND_LOOP in item.name.partition("[")[2].rstrip("]").split("-"):
            item.add_marker(pytest.mark.slow)
