"""The control API (spec/test-mode.md): what a test may ask of its server. From a method, a path and a body to an answer's body."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import msgspec
from msgspec import Meta, Struct

from jobwire_server.config import LAST_INSTANT_MS
from jobwire_server.error_codes import ERROR_CODES
from jobwire_server.errors import JobwireError, invalid
from jobwire_server.test_mode.faults import OPERATIONS, Action
from jobwire_server.test_mode.state import snapshot
from jobwire_server.wire.limits import DURATION_MS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from jobwire_server.test_mode.rig import Rig

PREFIX: Final = "/_test"
CRASHED: Final = 137  # what a shell says of a process that was killed

Answer = dict[str, Any]
_T = TypeVar("_T")


class Nothing(Struct, forbid_unknown_fields=True):
    pass


class Freeze(Struct, forbid_unknown_fields=True):
    at: Annotated[int, Meta(ge=0, le=LAST_INSTANT_MS)] | None = None


class Advance(Struct, forbid_unknown_fields=True):
    ms: Annotated[int, Meta(ge=0, le=DURATION_MS)]


class NewFault(Struct, forbid_unknown_fields=True):
    op: str
    action: Action
    times: Annotated[int, Meta(ge=1, le=1_000_000)] = 1
    code: str = "INTERNAL_ERROR"
    ms: Annotated[int, Meta(ge=0, le=DURATION_MS)] = 0


class Control:
    """The routes, on one rig."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._routes: dict[str, dict[str, Callable[[bytes], Awaitable[Answer]]]] = {
            "/clock": {"GET": self._clock},
            "/clock/freeze": {"POST": self._freeze},
            "/clock/advance": {"POST": self._advance},
            "/clock/release": {"POST": self._release},
            "/reset": {"POST": self._reset},
            "/fault": {"POST": self._fault, "DELETE": self._no_faults},
            "/faults": {"GET": self._faults},
            "/snapshot": {"POST": self._snapshot},
            "/crash": {"POST": self._crash},
        }

    async def answer(self, method: str, path: str, body: bytes) -> bytes:
        """The JSON of the answer. Raises JobwireError for every refusal."""
        methods = self._routes.get(path.removeprefix(PREFIX)) if path.startswith(PREFIX) else None
        if methods is None:
            raise JobwireError("ROUTE_NOT_FOUND", "Not a path of the control API", {"path": path})
        if method not in methods:
            allow = sorted(methods)
            raise JobwireError(
                "METHOD_NOT_ALLOWED", f"This path takes {', '.join(allow)}", {"allow": allow}
            )
        return msgspec.json.encode(await methods[method](body))

    # --- time ---

    async def _clock(self, body: bytes) -> Answer:
        _read(Nothing, body)
        return {"now": self._rig.clock.now(), "frozen": self._rig.clock.frozen}

    async def _freeze(self, body: bytes) -> Answer:
        return {"now": await self._rig.steering.freeze(_read(Freeze, body).at)}

    async def _advance(self, body: bytes) -> Answer:
        now, fired = await self._rig.steering.advance(_read(Advance, body).ms)
        return {"now": now, "fired": fired}

    async def _release(self, body: bytes) -> Answer:
        _read(Nothing, body)
        return {"now": await self._rig.steering.release()}

    # --- fail points ---

    async def _fault(self, body: bytes) -> Answer:
        wanted = _read(NewFault, body)
        if wanted.op not in OPERATIONS:
            raise invalid("/op", f"'{wanted.op}' is no operation of spec/wire.yaml that can fail")
        if wanted.code not in ERROR_CODES:
            raise invalid("/code", f"'{wanted.code}' is no code of spec/errors.yaml")
        return {"id": self._rig.board.add(**msgspec.structs.asdict(wanted))}

    async def _no_faults(self, body: bytes) -> Answer:
        _read(Nothing, body)
        self._rig.board.clear()
        return {}

    async def _faults(self, body: bytes) -> Answer:
        _read(Nothing, body)
        return {"faults": self._rig.board.listed()}

    # --- the whole ---

    async def _reset(self, body: bytes) -> Answer:
        _read(Nothing, body)
        await self._rig.reset()
        return {}

    async def _snapshot(self, body: bytes) -> Answer:
        _read(Nothing, body)
        found, jobs = await snapshot(self._rig.store)
        return {"hash": found, "jobs": jobs}

    async def _crash(self, body: bytes) -> Answer:
        """Nothing is flushed, closed or answered."""
        _read(Nothing, body)
        os._exit(CRASHED)


def _read(kind: type[_T], body: bytes) -> _T:
    """The fields of a body; an empty one has none. Raises VALIDATION_ERROR."""
    try:
        return msgspec.json.decode(body or b"{}", type=kind, strict=True)
    except msgspec.DecodeError as error:
        raise invalid("", str(error)) from error
