"""The route table of the HTTP door, and the application made of it."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, Final

from jobwire_server.auth import TrustedProxies
from jobwire_server.http_api.bodies import BodyReader
from jobwire_server.http_api.browser import BrowserGuard
from jobwire_server.http_api.handlers import Handlers, Page
from jobwire_server.http_api.middleware import App
from jobwire_server.http_api.routing import Route, Router
from jobwire_server.ids import IdMaker

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from jobwire_server.auth import Gate
    from jobwire_server.config import Settings
    from jobwire_server.http_api.handlers import Runs
    from jobwire_server.metrics import Metrics

PREFIX: Final = "/api/v1"
FIND_FIELDS: Final = (
    "queue state name tag group_id flow_id custom_id created_after created_before limit cursor"
)

# METHOD, path below PREFIX, command of spec/wire.yaml, query fields
TABLE: Final = (
    ("POST", "/queues/{queue}/jobs", "push", ""),
    ("POST", "/queues/{queue}/jobs/batch", "push_batch", ""),
    ("POST", "/pull", "pull", ""),
    ("POST", "/queues/{queue}/pull", "pull", ""),
    ("GET", "/queues/{queue}/jobs", "pull", "count"),
    ("POST", "/jobs/ack", "ack_batch", ""),
    ("POST", "/jobs/{id}/ack", "ack", ""),
    ("POST", "/jobs/fail", "fail_batch", ""),
    ("POST", "/jobs/{id}/fail", "fail", ""),
    ("POST", "/jobs/heartbeat", "heartbeat_batch", ""),
    ("POST", "/jobs/{id}/heartbeat", "heartbeat", ""),
    ("POST", "/jobs/{id}/release", "release", ""),
    ("POST", "/jobs/{id}/progress", "progress", ""),
    ("POST", "/jobs/{id}/cancel", "cancel", ""),
    ("POST", "/jobs/{id}/retry", "retry", ""),
    ("POST", "/jobs/{id}/promote", "promote", ""),
    ("GET", "/jobs/{id}", "get", ""),
    ("DELETE", "/jobs/{id}", "delete", ""),
    ("GET", "/jobs", "find", FIND_FIELDS),
    ("GET", "/queues", "queues", ""),
    ("GET", "/queues/{queue}", "queue", ""),
    ("PATCH", "/queues/{queue}", "queue_update", ""),
    ("GET", "/queues/{queue}/stats", "stats", ""),
    ("POST", "/queues/{queue}/pause", "queue_pause", ""),
    ("POST", "/queues/{queue}/resume", "queue_resume", ""),
    ("GET", "/queues/{queue}/dlq", "dlq", "limit cursor"),
    ("POST", "/queues/{queue}/dlq/retry", "dlq_retry", ""),
    ("POST", "/queues/{queue}/dlq/discard", "dlq_discard", ""),
    ("GET", "/flows/{flow_id}", "flow", ""),
    ("GET", "/workers", "workers", ""),
    ("GET", "/health", "health", ""),
    ("GET", "/health/ready", "ready", ""),
    ("GET", "/health/live", "live", ""),
    ("GET", "/capabilities", "capabilities", ""),
    ("GET", "/metrics/prometheus", "metrics", ""),
    ("GET", "/openapi.json", "openapi", ""),
    ("GET", "/docs", "docs", ""),
    ("GET", "/docs/reference.css", "docs", ""),
)
ROUTES: Final = tuple(
    Route(method, PREFIX + path, command, frozenset(query.split()))
    for method, path, command, query in TABLE
)

# Route path below PREFIX, content type, file beside this module (`make generate` writes them from spec/).
STATIC: Final = (
    ("/openapi.json", "application/json", "openapi.json"),
    ("/docs", "text/html; charset=utf-8", "reference.html"),
    ("/docs/reference.css", "text/css; charset=utf-8", "reference.css"),
)


def build_app(
    operations: Runs,
    gate: Gate,
    settings: Settings,
    metrics: Metrics,
    log: FilteringBoundLogger,
    handlers: type[Handlers] = Handlers,
) -> App:
    """Everything between a parsed HTTP request and its answer; opens no socket. Raises ValueError for bad settings."""
    bodies = BodyReader(deadline_ms=settings.server.read_timeout_ms)
    return App(
        router=Router(ROUTES),
        handlers=handlers(operations, bodies, metrics, read_pages()),
        guard=BrowserGuard(
            bound_host=settings.http.host,
            allowed_hosts=settings.http.allowed_hosts,
            allowed_origins=settings.http.allowed_origins,
        ),
        gate=gate,
        proxies=TrustedProxies(settings.http.trusted_proxies),
        ids=IdMaker(),
        metrics=metrics,
        log=log,
    )


def read_pages() -> dict[str, Page]:
    """The static files by route path, read once."""
    here = resources.files(__package__)
    return {
        PREFIX + path: Page(content_type, here.joinpath(name).read_bytes())
        for path, content_type, name in STATIC
    }
