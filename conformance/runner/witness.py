"""
The witness: a client that others' tools make of openapi.yaml, as one more implementation that runs the cases over HTTP.

It shows that the specification is complete enough for a stranger's generator, encodes requests in a way that none of us wrote, and
finds answers that the generated models do not hold. It is made from the document as it is, below build/, and never shipped.
"""

from __future__ import annotations

import contextvars
import functools
import hashlib
import importlib
import importlib.metadata
import inspect
import json
import re
import shutil
import subprocess
import sys
import typing
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx

from conformance.runner.doors import Doors
from conformance.runner.http_door import LOST, exchange_of, tracing
from conformance.runner.kinds import time_ms
from conformance.runner.loader import HERE, REPOSITORY
from conformance.runner.matching import same
from conformance.runner.operations import Answer, Operation, WrongAnswer, http_answer, parse
from conformance.runner.scope import NotApplicable
from conformance.runner.sdk_builds import BUILD, one_at_a_time

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import ModuleType

    from conformance.runner.recorder import Recorder
    from conformance.runner.target import Target
    from conformance.runner.wire_log import WireLog

PACKAGE: Final = "jobwire_witness"
DOCUMENT: Final = REPOSITORY / "server/src/jobwire_server/http_api/openapi.json"
SETTINGS: Final = HERE / "witness.yaml"
_TIMEOUT_S: Final = 15.0
_on_sent: contextvars.ContextVar[Callable[[], None] | None] = contextvars.ContextVar(
    "on_sent", default=None
)


class NotGenerated(RuntimeError):  # noqa: N818 - named for what happened
    """The generator refused the document, or warned. The message is what it said."""


def generate(folder: Path, document: Path = DOCUMENT) -> Path:
    """Make the client below `folder`; its package. Raises NotGenerated, for a warning too."""
    package = folder / PACKAGE
    command = [str(Path(sys.executable).parent / "openapi-python-client"), "generate"]
    command += ["--path", str(document), "--output-path", str(package), "--meta", "none"]
    command += ["--config", str(SETTINGS), "--fail-on-warning"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise NotGenerated(done.stdout + done.stderr)
    return package


def _importable() -> None:
    """The client of this document, made by the first process that wants it."""
    folder = BUILD / "witness"
    stamp = folder / _fingerprint()  # there when the client is whole
    with one_at_a_time("witness"):
        if not stamp.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            generate(folder)
            stamp.touch()
    sys.path.insert(0, str(folder))


def _fingerprint() -> str:
    """Of all that decides what is generated."""
    digest = hashlib.sha256(importlib.metadata.version("openapi-python-client").encode())
    for path in (DOCUMENT, SETTINGS):
        digest.update(path.read_bytes())
    return digest.hexdigest()


@functools.cache
def functions() -> Mapping[tuple[str, str], ModuleType]:
    """The module of each operation, by method and path as in openapi.json."""
    _importable()
    paths = json.loads(DOCUMENT.read_text(encoding="utf-8"))["paths"]
    return {
        (method.upper(), path): importlib.import_module(
            f"{PACKAGE}.api.{row['tags'][0].lower()}.{_snake(row['operationId'])}"
        )
        for path, item in paths.items()
        for method, row in item.items()
        if isinstance(row, dict) and "operationId" in row
    }


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


# --- from abstract fields to the arguments of a generated function ----------------------------------------------------


def arguments(function: Callable[..., Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """Path and query parameters by name, what is left as the body. NotApplicable for what types do not let through."""
    hints = typing.get_type_hints(function)
    parameters = inspect.signature(function).parameters
    given = {
        name: _typed(hints[name], value) for name, value in fields.items() if name in parameters
    }
    left = {name: value for name, value in fields.items() if name not in parameters}
    if "body" in parameters:
        given["body"] = _body(hints["body"], left)
    elif left:
        raise NotApplicable(f"a typed client cannot send {', '.join(sorted(left))}")
    return given


def _typed(hint: Any, value: Any) -> Any:
    """A value for a parameter. The generator repeats the name for each of several values, also where `explode` is false."""
    if isinstance(value, list) and len(value) > 1:
        raise NotApplicable("the generator does not write lists with commas")
    if value is not None and datetime in _members(hint):
        try:
            return datetime.fromisoformat(value)
        except (TypeError, ValueError) as error:
            raise NotApplicable(f"a typed client cannot send {value!r} as an instant") from error
    return value


def _body(hint: Any, fields: Mapping[str, Any]) -> Any:
    """An instance of the first model that takes the fields and sends all of them."""
    for model in _members(hint):
        if not hasattr(model, "from_dict"):
            continue
        try:
            body = model.from_dict(dict(fields))
            sent = body.to_dict()
        except (AttributeError, KeyError, TypeError, ValueError):
            continue
        if fields.keys() == sent.keys() and alike(dict(fields), sent):
            return body
    raise NotApplicable("a typed client cannot send these fields")


def _members(hint: Any) -> tuple[Any, ...]:
    return typing.get_args(hint) or (hint,)


def alike(left: Any, right: Any) -> bool:
    """The same JSON, but that instants may be spelled in another way, and a whole number as a float."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(alike(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(alike, left, right))
    return same(left, right) or _is_same_instant(left, right) or _is_same_number(left, right)


def _is_same_number(left: Any, right: Any) -> bool:
    return {type(left), type(right)} == {int, float} and bool(left == right)


def _is_same_instant(left: Any, right: Any) -> bool:
    if not (isinstance(left, str) and isinstance(right, str)):
        return False
    first, second = (time_ms(text.replace("+00:00", "Z")) for text in (left, right))
    return first is not None and first == second


# --- the doors ----------------------------------------------------------------------------------------------------------


class WitnessDoors(Doors):
    """The runner's doors, with the generated client in the place of its HTTP door."""

    def __init__(self, target: Target, recorder: Recorder, log: WireLog) -> None:
        super().__init__(target, recorder, log)
        self._generated: Any = None
        self._transport: _Recording | None = None

    async def call(
        self,
        door: str,
        connection: str,
        operation: Operation,
        fields: Mapping[str, Any],
        on_sent: Callable[[], None] | None = None,
    ) -> Answer:
        if door != "http":
            return await super().call(door, connection, operation, fields, on_sent)
        function = functions()[operation.method, operation.path].asyncio_detailed
        given = arguments(function, fields)
        _on_sent.set(on_sent)
        try:
            response = await function(client=self._client(), **given)
        except LOST as error:
            return Answer(fields={}, lost=repr(error))
        except httpx.TimeoutException as error:
            raise TimeoutError(f"{operation.name} was not answered in {_TIMEOUT_S:g} s") from error
        except importlib.import_module(f"{PACKAGE}.errors").UnexpectedStatus as error:
            raise WrongAnswer(f"a status that openapi.yaml does not have: {error}") from error
        except (KeyError, TypeError, ValueError) as error:
            raise WrongAnswer(f"the models do not hold the answer: {error!r}") from error
        _check_parsed(operation, response)
        media_type = response.headers.get("content-type", "")
        return http_answer(operation, int(response.status_code), media_type, response.content)

    def _client(self) -> Any:
        if self._generated is None:
            module = importlib.import_module(f"{PACKAGE}.client")
            base = f"{self.target.http_url}/api/v1"
            token = self.target.token
            headers = {} if token is None else {"Authorization": f"Bearer {token}"}
            self._transport = _Recording(self.recorder, self.log)
            self._generated = module.Client(base_url=base, raise_on_unexpected_status=True)
            self._generated.set_async_httpx_client(
                httpx.AsyncClient(
                    base_url=base,
                    headers=headers,
                    timeout=_TIMEOUT_S,
                    trust_env=False,
                    transport=self._transport,
                )
            )
        return self._generated

    async def close(self) -> None:
        await super().close()
        if self._generated is not None:
            await self._generated.get_async_httpx_client().aclose()
            self._generated = None


def _check_parsed(operation: Operation, response: Any) -> None:
    """The generated model says what the answer said."""
    if "json" not in response.headers.get("content-type", ""):
        return
    if not hasattr(response.parsed, "to_dict"):
        raise WrongAnswer(f"{operation.name}: no model of the specification is this answer")
    if not alike(parse(response.content), response.parsed.to_dict()):
        raise WrongAnswer(f"{operation.name}: the model lost something: {response.parsed!r:.300}")


class _Recording(httpx.AsyncBaseTransport):
    """Sends, and shows the recorder what crossed the socket."""

    def __init__(self, recorder: Recorder, log: WireLog) -> None:
        self._inner = httpx.AsyncHTTPTransport(verify=False, limits=httpx.Limits())
        self._recorder = recorder
        self._log = log

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.extensions = {**request.extensions, **tracing(_on_sent.get())}
        self._log.add(
            "http", "→", f"{request.method} {request.url.path} {request.content.decode()}"
        )
        response = await self._inner.handle_async_request(request)
        body = await response.aread()
        self._log.add("http", "←", f"{response.status_code} {body.decode(errors='replace')}")
        self._recorder.http(exchange_of(request, response))
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()
