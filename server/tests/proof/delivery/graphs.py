"""T16: random graphs of jobs that wait for each other, and what must have become of each job (spec/lifecycle.md, DEP)."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final, Literal

Fate = Literal["ack", "retry", "fail"]

QUEUES: Final = ("graph-a", "graph-b")
MOST_JOBS: Final = 30
MOST_PARENTS: Final = 3
FATES: Final[tuple[Fate, ...]] = ("ack",) * 14 + ("retry",) * 3 + ("fail",)
TERMINAL: Final = ("completed", "dlq", "cancelled")


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A job to be; what its worker does with it, and whether somebody cancels it at some time."""

    id: str
    queue: str
    parents: tuple[str, ...]
    fate: Fate
    is_removed: bool  # remove_on_complete
    is_cancelled: bool

    @property
    def item(self) -> dict[str, Any]:
        """As it is pushed."""
        return {
            "id": self.id,
            "name": "proof",
            "data": {"fate": self.fate},
            "depends_on": list(self.parents),
            "remove_on_complete": self.is_removed,
        }


@dataclass(frozen=True, slots=True)
class Graph:
    """Parents before children. The first `together` are pushed in one batch, in any order; the others follow one by one, to any queue."""

    nodes: tuple[Node, ...]
    together: int


def random_graph(chance: Random) -> Graph:
    count = chance.randint(5, MOST_JOBS)
    together = chance.choice((count, count, count // 2))
    queue = chance.choice(QUEUES)
    nodes: list[Node] = []
    for number in range(count):
        parents = chance.sample(nodes, min(len(nodes), chance.randint(0, MOST_PARENTS)))
        nodes.append(
            Node(
                id=str(uuid.UUID(int=chance.getrandbits(128), version=4)),
                queue=queue if number < together else chance.choice(QUEUES),
                parents=tuple(parent.id for parent in parents),
                fate=chance.choice(FATES),
                is_removed=chance.random() < 0.2,
                is_cancelled=chance.random() < 0.04,
            )
        )
    return Graph(tuple(nodes), together)


# ── What must have become of them ──


@dataclass(slots=True)
class Seen:
    """What clients saw of one job; instants in µs of CLOCK_MONOTONIC."""

    pushed: bool = False
    refused: bool = False
    granted: list[int] = field(default_factory=list)  # when the answers with it were there
    acked: list[int] = field(default_factory=list)  # when acks of it began
    final: dict[str, Any] | None = None  # as the server shows it in the end

    @property
    def state(self) -> str:
        return "gone" if self.final is None else str(self.final["state"])

    @property
    def reason(self) -> str | None:
        return None if self.final is None else self.final["reason"]


@dataclass(slots=True)
class Verdict:
    """Sentences about jobs that are not as they must be."""

    lost: list[str] = field(default_factory=list)
    early: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def all(self) -> list[str]:
        return [*self.lost, *self.early, *self.stuck, *self.wrong]


def judge(graph: Graph, seen: Mapping[str, Seen], verdict: Verdict) -> None:
    for node in graph.nodes:
        own, parents = seen[node.id], [seen[parent] for parent in node.parents]
        if own.pushed:
            verdict.lost += _lost(node, own)
            verdict.early += _early(node, own, parents)
            verdict.stuck += _stuck(node, own)
            verdict.wrong += _wrong_end(graph, node, seen)
        elif not any(parent.refused or is_dead(parent) for parent in parents):
            verdict.wrong.append(f"{node.id} was refused, and all its parents are well")


def is_dead(parent: Seen) -> bool:
    return parent.state in ("dlq", "cancelled")


def _lost(node: Node, own: Seen) -> Iterator[str]:
    if own.state == "gone" and not (node.is_removed and own.acked):
        yield f"{node.id} is gone"


def _early(node: Node, own: Seen, parents: list[Seen]) -> Iterator[str]:
    """Given out, and some parent cannot have completed by then."""
    for granted in own.granted:
        if any(min(parent.acked, default=granted + 1) > granted for parent in parents):
            yield f"{node.id} was given out before all of its {len(parents)} parents were done"


def _stuck(node: Node, own: Seen) -> Iterator[str]:
    if own.state not in (*TERMINAL, "gone"):
        yield f"{node.id} is {own.state} for ever"


def _wrong_end(graph: Graph, node: Node, seen: Mapping[str, Seen]) -> Iterator[str]:
    own, parents = seen[node.id], [seen[parent] for parent in node.parents]
    end = (own.state, own.reason)
    dead = [parent for parent in parents if is_dead(parent)]
    allowed = set(_ends_below(dead)) if dead else set(_own_ends(node))
    if node.is_cancelled:
        allowed.add(("cancelled", "cancelled"))
    if own.state in (*TERMINAL, "gone") and end not in allowed:
        yield f"{node.id} is {end}, with {len(dead)} dead of {len(parents)} parents"
    if dead and own.granted:
        yield f"{node.id} was given out although a parent is dead"


def _own_ends(node: Node) -> Iterator[tuple[str, str | None]]:
    if node.fate == "fail":
        yield "dlq", "failed"
    elif node.is_removed:
        yield "gone", None
    else:
        yield "completed", None


def _ends_below(dead: list[Seen]) -> Iterator[tuple[str, str | None]]:
    """The first parent that died says how its children end."""
    for parent in dead:
        yield parent.state, "parent_failed"
