"""The driver's process and its guard: a broken driver is called broken, and a lie a lie, before any SDK is blamed."""

from __future__ import annotations

import asyncio
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import pytest

from conformance.runner.cli import main
from conformance.runner.driver import Driver, Refused
from conformance.runner.driver_messages import DriverBroken, check, pack, unpack
from conformance.runner.recorder import Recorder
from conformance.runner.sdk_cases import SdkItem, load
from conformance.runner.sdk_checking import smoke
from conformance.runner.sdk_guard import Lie, check_error, check_success
from conformance.runner.sdk_pool import SDKS, Drivers
from conformance.runner.sdk_run import SdkOutcome, run_item
from conformance.runner.sdk_wire import Seen, WireLog

LIAR = str(Path(__file__).parent / "drivers" / "liar.py")
ID = "0190b6e4-0000-7000-8000-000000000000"


def liar(how: str) -> list[str]:
    return [sys.executable, LIAR, how]


# --- messages -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("direction", "message", "why"),
    [
        ("to", {"t": "init", "proto": 1, "virtual": True}, "seed"),
        ("to", {"t": "nap"}, "no such message"),
        ("from", {"t": "result", "id": 1, "ok": True}, "value"),
        ("from", {"t": "result", "id": 1, "ok": False, "value": 1}, "error"),
        ("from", {"t": "result", "id": 1, "ok": True, "value": 1, "mood": "good"}, "mood"),
        ("from", {"t": "sleep", "id": 1, "ms": -1}, "minimum"),
        ("from", [], "an object"),
    ],
)
def test_a_message_that_is_not_of_the_protocol_is_refused_in_words(
    direction: str, message: object, why: str
) -> None:
    with pytest.raises(DriverBroken, match=why):
        check(direction, message)


@pytest.mark.parametrize(
    "value",
    [
        2**53 + 1,
        -(2**64),
        1.0,
        -0.0,
        5e-324,
        [1, "1", None],
        {"$int": "x"},
        {"a": {"$lit": 1.5}},
        {},
    ],
)
def test_packed_values_come_out_as_they_were(value: object) -> None:
    assert repr(unpack(pack(value))) == repr(value)


# --- broken drivers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("mute", "does not get ready"),
        ("prose", "no JSON"),
        ("extra", "mood"),
        ("dies", "it ended"),
        ("wrong-id", "was not sent"),
        ("honest-looking", "no answered"),
    ],
)
async def test_smoke_calls_a_broken_driver_broken(how: str, why: str) -> None:
    problems = await smoke(liar(how))

    assert problems
    assert why in problems[0]


async def test_smoke_says_that_a_driver_cannot_be_started() -> None:
    assert "cannot start" in (await smoke(["/nonexistent/driver"]))[0]


def test_the_sdk_command_ends_with_2_before_it_blames_the_sdk(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["sdk", "--no-records", "--cmd", f"{sys.executable} {LIAR} extra"]) == 2

    assert "driver broken" in capsys.readouterr().out


async def test_a_case_with_a_driver_that_dies_is_an_error_and_no_failure() -> None:
    outcome = await _run("SDKF-CONN-007", "dies")

    assert outcome.verdict == "error"


async def sleeper(command: Sequence[str], errors: IO[bytes]) -> asyncio.subprocess.Process:
    """In place of a driver: it says nothing, and does not end by itself."""
    program = (sys.executable, "-c", "import time; time.sleep(600)")
    return await asyncio.create_subprocess_exec(
        *program, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )


async def test_a_driver_that_is_given_up_in_the_midst_of_its_start_leaves_nothing() -> None:
    started: asyncio.Queue[tuple[asyncio.subprocess.Process, IO[bytes]]] = asyncio.Queue()

    async def spawn(command: Sequence[str], errors: IO[bytes]) -> asyncio.subprocess.Process:
        process = await sleeper(command, errors)
        started.put_nowait((process, errors))
        return process

    starting = asyncio.create_task(Driver.start((), virtual=True, seed=7, spawn=spawn))
    process, errors = await started.get()
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting

    assert process.returncode == -signal.SIGKILL
    assert errors.closed


async def test_a_driver_that_is_given_up_while_it_is_stopped_leaves_nothing() -> None:
    with tempfile.TemporaryFile() as errors:
        process = await sleeper((), errors)
        stopping = asyncio.create_task(Driver(process, errors).stop())
        await asyncio.sleep(0)  # it begins, and waits for an end that does not come
        stopping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stopping

        assert errors.closed
    assert await process.wait() == -signal.SIGKILL


async def test_a_driver_that_says_sockets_are_open_is_believed() -> None:
    driver = await Driver.start(liar("leaky"), virtual=False, seed=1)
    try:
        assert await driver.leaks() == {"sockets": 1}
    finally:
        await driver.stop()


async def _run(case_id: str, how: str) -> SdkOutcome:
    case = next(case for case in load() if case.id == case_id)
    drivers = Drivers({"liar": liar(how)})
    try:
        item = SdkItem(case=case, sdk="liar", transport="tcp")
        return await run_item(item, drivers, Recorder(None))
    finally:
        await drivers.close()


# --- lies ---------------------------------------------------------------------------------------------------------------


async def test_a_driver_that_claims_pushes_which_nobody_saw_is_found_out() -> None:
    outcome = await _run("SDKF-CONN-007", "honest-looking")

    assert outcome.verdict == "fail"
    assert "no answered ['push'] crossed the wire" in str(outcome.failure)


def _log(**members: Any) -> WireLog:
    log = WireLog()
    log.add(Seen(command="push", fields={}, connection="c", **members))
    return log


def test_an_id_that_no_answer_had_is_a_lie() -> None:
    log = _log(answer={"ok": True, "id": ID})

    check_success("push", {"id": ID}, log, 0)
    with pytest.raises(Lie, match="no such id"):
        check_success("push", {"id": "another"}, log, 0)


def test_a_success_needs_an_answer_after_the_call_began() -> None:
    log = _log(answer={"ok": True, "id": ID})

    with pytest.raises(Lie, match="no answered"):
        check_success("push", {"id": ID}, log, len(log.seen))
    with pytest.raises(Lie, match="no answered"):
        check_success("push", {"id": ID}, _log(), 0)


def test_a_code_of_the_server_needs_that_code_on_the_wire() -> None:
    log = _log(answer={"ok": False, "error": {"code": "QUEUE_FULL"}})

    check_error("push", {"code": "QUEUE_FULL"}, log, 0)
    check_error("push", {"code": "TIMEOUT"}, log, 0)
    with pytest.raises(Lie, match="no such code"):
        check_error("push", {"code": "DUPLICATE_KEY"}, log, 0)


# --- the real one ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sdk", SDKS)
async def test_sleeps_are_virtual_and_an_open_client_is_a_leak_only_while_it_is_connected(
    sdk: str,
) -> None:
    driver = await Driver.start(SDKS[sdk], virtual=True, seed=7)
    try:
        await driver.ask("new", obj="c", kind="client", args={"url": "tcp://127.0.0.1:1"})
        with pytest.raises(Refused, match="CONNECTION_FAILED"):
            await driver.ask("call", obj="c", method="ping", args={})
        assert 30_000 > sum(driver.sleeps) > 20_000  # milliseconds that nobody waited
        assert await driver.leaks() == {}
    finally:
        assert await driver.stop() == 0
