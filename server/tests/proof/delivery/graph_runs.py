"""T16: producers and workers on a server that is killed again and again while graphs of jobs run through it."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from threading import Event
from typing import Any, Final

from tests.acceptance.processes import until
from tests.proof.delivery.doors import DOORS, Answer, Door, ok, open_door
from tests.proof.delivery.graphs import QUEUES, Graph, Node, Seen, Verdict, judge, random_graph
from tests.proof.launched import Launched

LOST: Final = (OSError, http.client.HTTPException, json.JSONDecodeError)
LEASE_MS: Final = 10_000
WORKERS: Final = 4
WAIT_MS: Final = 50
KILL_AFTER_S: Final = (0.15, 0.7)
RETRY_MS: Final = 20
BUSY_S: Final = 20
PUSH_EVERY_S: Final = 0.01
GRAPH_EVERY_S: Final = 0.1


class Ended(Exception):  # noqa: N818 - nothing went wrong
    """The run is over."""


class Patient:
    """A client that outlives the server and repeats what was not answered, with the same ids."""

    def __init__(self, name: str, server: Launched, done: Event) -> None:
        self._name = name
        self._server = server
        self._done = done
        self._door: Door | None = None

    def call(self, op: str, **fields: Any) -> Answer:
        while not self._done.is_set():
            try:
                self._door = self._door or open_door(self._name, self._server)
                return self._door.call(op, **fields)
            except LOST:
                self.close()
                self._done.wait(0.01)  # another process gives no signal that it listens
        raise Ended

    def close(self) -> None:
        if self._door is not None:
            self._door.close()
            self._door = None


@dataclass(slots=True)
class Run:
    """What became of it."""

    graphs: list[Graph] = field(default_factory=list)
    seen: dict[str, Seen] = field(default_factory=dict)
    verdict: Verdict = field(default_factory=Verdict)
    kills: int = 0  # each with jobs that had not ended

    def add(self, graph: Graph) -> None:
        self.graphs.append(graph)
        self.seen.update({node.id: Seen() for node in graph.nodes})

    def ended(self, *reasons: str | None) -> int:
        return sum(seen.reason in reasons for seen in self.seen.values() if seen.pushed)

    @property
    def pushed(self) -> int:
        return sum(seen.pushed for seen in self.seen.values())


def run(server: Launched, seed: object, *, graphs: int, kills: int, heal_s: float) -> Run:
    """`kills` kills while at least `graphs` graphs are pushed and worked on; then `heal_s` seconds for all to end."""
    found, done = Run(), Event()
    chance = Random(f"{seed}-kills")
    with ThreadPoolExecutor(1 + WORKERS) as pool:
        pushing = pool.submit(produce, server, found, Random(f"{seed}-graphs"), graphs, kills, done)
        working = [pool.submit(work, server, found, n, done) for n in range(WORKERS)]
        try:
            while found.kills < kills and not pushing.done():
                _kill(server, found, chance)
            pushing.result()
            _wait_for_ends(server, heal_s)
        finally:
            done.set()
        for worker in working:
            worker.result()
    _look(server, found)
    return found


def _kill(server: Launched, found: Run, chance: Random) -> None:
    time.sleep(chance.uniform(*KILL_AFTER_S))  # the instant of the kill
    until(lambda: _unfinished(server) > 0, BUSY_S, "there are jobs that have not ended")
    server.kill()
    server.start()
    found.kills += 1


def _wait_for_ends(server: Launched, seconds: float) -> None:
    """Until every job has ended. One that has not is for the judge to tell."""
    try:
        until(lambda: _unfinished(server) == 0, seconds, "every job has ended")
    except AssertionError:
        return


def _unfinished(server: Launched) -> int:
    counts = [server.counts(queue) for queue in QUEUES]
    states = ("waiting", "delayed", "blocked", "active")
    return sum(count[state] for count in counts for state in states)


def _look(server: Launched, found: Run) -> None:
    for job_id, seen in found.seen.items():
        status, answer = server.get(f"/jobs/{job_id}")
        seen.final = answer["job"] if status == 200 else None
    for graph in found.graphs:
        judge(graph, found.seen, found.verdict)


# ── Producing ──


def produce(
    server: Launched, found: Run, chance: Random, graphs: int, kills: int, done: Event
) -> None:
    """Push graph after graph to the last kill, cancel some jobs, and let a queue stand still now and then."""
    with patient(DOORS[0], server, done) as client:
        while len(found.graphs) < graphs or found.kills < kills:
            done.wait(GRAPH_EVERY_S)  # the pace of a producer
            graph = random_graph(chance)
            found.add(graph)
            paused = chance.choice((None, None, *QUEUES))
            if paused is not None:
                ok(client.call("queue_pause", queue=paused, mode="pull"))
            push(client, graph, found, chance)
            for node in (node for node in graph.nodes if node.is_cancelled):
                client.call("cancel", id=node.id)  # any answer will do: the judge knows of it
            if paused is not None:
                ok(client.call("queue_resume", queue=paused))


def push(client: Patient, graph: Graph, found: Run, chance: Random) -> None:
    first = list(graph.nodes[: graph.together])
    chance.shuffle(first)
    items = [node.item for node in first]
    ok(client.call("push_batch", queue=first[0].queue, jobs=items))
    for node in first:
        found.seen[node.id].pushed = True
    for node in graph.nodes[graph.together :]:
        time.sleep(PUSH_EVERY_S)  # the pace of a producer
        push_one(client, node, found.seen[node.id])


def push_one(client: Patient, node: Node, seen: Seen) -> None:
    answer = client.call("push", queue=node.queue, **node.item)
    seen.pushed, seen.refused = answer["ok"], not answer["ok"]
    assert answer["ok"] or answer["error"]["code"] == "VALIDATION_ERROR", answer


@contextmanager
def patient(door: str, server: Launched, done: Event) -> Iterator[Patient]:
    client = Patient(door, server, done)
    try:
        yield client
    finally:
        client.close()


# ── Working ──


def work(server: Launched, found: Run, number: int, done: Event) -> None:
    chance = Random(number)
    with patient(DOORS[number % len(DOORS)], server, done) as client:
        try:
            for turn in range(1_000_000):
                _work_once(client, found, chance, f"worker-{number}-{turn}")
        except Ended:
            return


def _work_once(client: Patient, found: Run, chance: Random, request_id: str) -> None:
    queues = chance.sample(QUEUES, len(QUEUES))
    asked = {"count": chance.choice((2, 4)), "wait_ms": WAIT_MS, "lease_ms": LEASE_MS}
    answer = ok(client.call("pull", queues=queues, request_id=request_id, **asked))
    now = time.monotonic_ns() // 1_000
    for job in answer["jobs"]:
        found.seen[job["id"]].granted.append(now)
    for job in answer["jobs"]:
        _handle(client, job, found.seen[job["id"]])


def _handle(client: Patient, job: Answer, seen: Seen) -> None:
    held = {"id": job["id"], "lease": job["lease"]}
    fate = job["data"]["fate"]
    if fate == "fail":
        client.call("fail", **held, error="as it must", discard=True)
    elif fate == "retry" and job["attempt"] == 0:
        client.call("fail", **held, error="try again", retry_in_ms=RETRY_MS)
    else:
        seen.acked.append(time.monotonic_ns() // 1_000)
        client.call("ack", **held)
