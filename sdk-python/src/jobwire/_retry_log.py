"""What both clients log when they repeat a call: never a payload, never a token."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jobwire._errors import JobwireError
    from jobwire._operations import Request

logger = logging.getLogger("jobwire")


def log_retry(request: Request[Any], error: JobwireError, failures: int, pause: float) -> None:
    """
    Say that *request* will be sent again in *pause* seconds.

    The second failure in a row to connect is a warning: it may be a wrong URL, and the caller would otherwise hear of it
    only when the budget is used up. The first one is part of any restart of a server.
    """
    level = logging.WARNING if error.code == "CONNECTION_FAILED" and failures == 2 else logging.INFO
    extra = {"op": request.op, "code": error.code, "delay": pause}
    logger.log(level, "%s: trying again (%s)", request.op, error, extra=extra)
