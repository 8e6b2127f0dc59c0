"""What a type checker makes of the public methods."""

from __future__ import annotations

from typing import Any

from typing_extensions import assert_type

from jobwire import (
    AsyncClient,
    BulkResult,
    Client,
    FailItem,
    FailResult,
    Health,
    HeartbeatBatchResult,
    HeartbeatResult,
    ItemResult,
    Job,
    JobState,
    JobwireError,
    MockTransport,
    Page,
    PushItem,
    PushResult,
    QueueInfo,
    QueueStats,
    Reply,
    Request,
    StateResult,
    WorkerReport,
)


def push(client: Client) -> None:
    assert_type(client.push("q", "n", {"a": 1}, delay=1, tags=("a",)), PushResult)
    assert_type(
        client.push_batch("q", [PushItem(name="n"), {"name": "n"}]), list[PushResult | JobwireError]
    )


def work(client: Client) -> None:
    jobs = client.pull(["q"], count=2, wait=1)
    assert_type(jobs, list[Job])
    assert_type(client.ack(jobs[0], {"r": 1}), bool)
    assert_type(client.ack("id", lease="x"), bool)
    assert_type(client.ack_batch([jobs[0], (jobs[0], 1), "id", ("id", None)]), list[ItemResult])
    assert_type(client.fail(jobs[0], ValueError("x"), retry_in=1), FailResult)
    assert_type(client.fail_batch([(jobs[0], "x"), FailItem("id", ValueError())]), list[ItemResult])
    assert_type(client.release(jobs[0], delay=1), StateResult)
    assert_type(client.heartbeat("id", lease=30), HeartbeatResult)
    assert_type(
        client.heartbeat_batch([jobs[0], (jobs[0], 30.0)], worker=WorkerReport(id="w")),
        HeartbeatBatchResult,
    )


def look(client: Client) -> None:
    for job in client.find(state=["dlq", JobState.ACTIVE]):
        assert_type(job, Job)
        assert_type(job.state, JobState | str)
        assert_type(job.data, Any)
    assert_type(client.find_page(state="dlq"), Page)
    assert_type(client.stats("q"), QueueStats)
    assert_type(client.update_queue("q", lease=None), QueueInfo)
    assert_type(client.retry_dlq("q", ids=["a"]), BulkResult)
    assert_type(client.with_options(timeout=1), Client)


async def asynchronous(client: AsyncClient) -> None:
    assert_type(await client.push("q", "n"), PushResult)
    assert_type(await client.pull("q"), list[Job])
    assert_type(await client.health(), Health)
    async for job in client.find():
        assert_type(job, Job)
    async with client as entered:
        assert_type(entered, AsyncClient)


def handler(request: Request[Any]) -> dict[str, Any]:
    return {"op": request.op}


def mock() -> None:
    transport = MockTransport(handler)
    assert_type(Client(transport=transport), Client)
    assert_type(transport.requests, list[Request[Any]])
    assert_type(Reply({"ok": True}).body["x"], Any)
