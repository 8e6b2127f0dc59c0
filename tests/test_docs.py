"""What the code has, the docs name. (Settings and the command line: server/tests/cli/test_reference.py.)"""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from jobwire_server.error_codes import ERROR_CODES
from jobwire_server.metrics import Metrics

ROOT = Path(__file__).parent.parent


def test_every_metric_is_documented_with_its_type() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    documented = set(re.findall(r"^\| `(jobwire_\w+)` \| (\w+)", page, re.MULTILINE))
    metrics = Metrics()
    metrics.queues({"emails": {"waiting": 1}})

    exposed = set(
        re.findall(r"^# TYPE (jobwire_\w+) (\w+)", metrics.render().decode(), re.MULTILINE)
    )

    assert exposed == documented


def test_every_error_code_is_documented_and_known() -> None:
    catalogue = yaml.safe_load((ROOT / "spec" / "errors.yaml").read_text())["codes"]
    page = (ROOT / "spec" / "errors.md").read_text()

    assert set(ERROR_CODES) == set(catalogue)
    assert [code for code in catalogue if code not in page] == []


def test_every_word_of_the_wire_is_an_operation_of_both_clients() -> None:
    from jobwire import AsyncClient, Client

    operations = yaml.safe_load((ROOT / "spec" / "wire.yaml").read_text())["operations"]
    methods = {row["sdk"] for row in operations.values() if "sdk" in row}

    assert [
        name
        for name in sorted(methods)
        if not hasattr(Client, name) or not hasattr(AsyncClient, name)
    ] == []
