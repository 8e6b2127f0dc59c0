"""Metrics, the specification and the reference page: text that the door answers by itself."""

from __future__ import annotations

import json

import pytest
from tests.http_api.conftest import Served

from jobwire_server.http_api.app import read_pages


async def test_metrics_are_prometheus_text(served: Served) -> None:
    served.metrics.pushed(3)

    answer = await served.ask("GET", "/metrics/prometheus?name[]=up")

    assert answer.status == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert b"\nrustqueue_jobs_pushed_total 3.0\n" in answer.body


async def test_the_specification_is_served(served: Served) -> None:
    answer = await served.ask("GET", "/openapi.json")

    assert answer.headers["content-type"] == "application/json"
    assert json.loads(answer.body)["openapi"].startswith("3.1")


@pytest.mark.parametrize("path", ["/docs", "/docs/reference.css"])
async def test_pages_are_sealed(served: Served, path: str) -> None:
    answer = await served.ask("GET", path)

    assert answer.status == 200
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'self'; ")
    assert "unsafe" not in policy
    assert "script-src" not in policy
    for directive in ("base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"):
        assert directive in policy
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_reference_page_needs_nothing_that_its_policy_forbids() -> None:
    page = read_pages()["/api/v1/docs"].body.decode()

    for forbidden in ("<script", "<style", ' style="', "javascript:", "<iframe", "<form"):
        assert forbidden not in page
