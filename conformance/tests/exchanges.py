"""Exchanges and lines to judge: good ones, which a test then spoils."""

from __future__ import annotations

import json
from typing import Any

from conformance.runner.exchange import Exchange
from conformance.runner.specification import specification

ID = "01939d1c-5b1e-7c3a-9f2e-0a1b2c3d4e5f"
PUSHED = {"ok": True, "id": ID, "outcome": "created"}
REFUSED = {
    "ok": False,
    "error": {"code": "JOB_NOT_FOUND", "message": "no", "details": {"id": ID}, "retryable": False},
}
PROBLEM = {
    "type": "/api/v1/docs#error-JOB_NOT_FOUND",
    "title": "Job not found",
    "status": 404,
    "detail": "no",
    "code": "JOB_NOT_FOUND",
    "details": {"id": ID},
    "retryable": False,
}


def a_job(**members: Any) -> dict[str, Any]:
    """The job of the schema's own example, with some members changed."""
    schemas = specification().openapi["components"]["schemas"]
    return {**schemas["Job"]["examples"][0], **members}


def exchange(
    method: str = "POST",
    path: str = "/queues/q/jobs",
    status: int = 201,
    body: Any = PUSHED,
    **options: Any,
) -> Exchange:
    """An exchange below /api/v1; a body that is no bytes is sent as JSON."""
    media_type = options.pop("media_type", "application/json")
    more = options.pop("headers", ())
    given = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = (("content-type", f"{media_type}; charset=utf-8"), ("x-request-id", "r"), *more)
    return Exchange(
        method=method,
        target=f"/api/v1{path}",
        status=status,
        headers=headers,
        body=given,
        **options,
    )


def line(**members: Any) -> bytes:
    return json.dumps(members).encode() + b"\n"
