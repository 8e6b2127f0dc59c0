"""What a run came to, for each SDK: the record that is kept, the table and the line that are printed, and the bars that were missed."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from conformance.recovery.plan import BARS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conformance.recovery.crossing import Crossing
    from conformance.recovery.peer import Peer

_NONE_OF: Final = ("deaf", "lost", "crossed")


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least `percent` of all do not exceed; the largest of fewer than a hundred."""
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


class Figures:
    """Figures of one SDK over all its doors, after these faults. `slack` is how many times its bar a time may be; `disturbed` tries are not in the times."""

    def __init__(
        self, sdk: str, faults: Sequence[str], disturbed: int = 0, *, slack: float = 1.0
    ) -> None:
        self.sdk = sdk
        self._wanted = (*faults, "cancel")
        self._slack = slack
        self._times: dict[str, dict[str, list[float]]] = {}  # what → door → seconds
        self._counts: Counter[str] = Counter(disturbed=disturbed)
        self._notes: list[str] = []
        self._refused: Counter[str] = Counter()

    def add(self, peer: Peer, lost: Sequence[str], crossing: Crossing) -> None:
        """What became of the SDK on one door."""
        for fault, seconds in (*peer.back.items(), ("cancel", peer.cancels)):
            if seconds:
                self._times.setdefault(fault, {})[peer.door] = seconds
            self._counts["deaf"] += sum(map(math.isinf, seconds))
        self._counts["lost"] += len(lost)
        self._counts["crossed"] += crossing.crossed
        self._counts["calls"] += crossing.calls
        self._counts["given_up"] += crossing.given_up
        self._counts["failed"] += crossing.failed
        self._counts["pushed"] += len(peer.acked)
        self._counts["handled_again"] += peer.again
        self._counts["connections_hurt"] += peer.route.touched
        self._refused.update(peer.refused)
        self._notes += [f"lost on {peer.door}: {each}" for each in lost[:5]]
        self._notes += [f"crossed on {peer.door}: {each}" for each in crossing.wrong]

    def count(self, name: str) -> int:
        """How many were deaf, lost, crossed, …"""
        return self._counts[name]

    def missed(self) -> list[str]:
        """A sentence for each bar that is not met; what was not measured is not met."""
        said = [f"{name} {self.count(name)}, the bar is 0" for name in _NONE_OF if self.count(name)]
        said += [f"no {name}" for name in ("calls", "pushed") if not self.count(name)]
        said += [f"no time of {what}" for what in self._wanted if what not in self._times]
        for row in self.rows():
            if not row["p99_s"] <= row["bar_s"] * self._slack:
                about = f"{row['what']} over {row['door']}"
                said.append(f"{about}: {row['p99_s']:.3g} s, the bar is {row['bar_s']:g} s")
        return [f"{self.sdk}: {each}" for each in [*said, *self._notes]]

    def rows(self) -> list[dict[str, Any]]:
        """A row for each fault and door, and one for the cancels of all of them."""
        return [
            _row(what, door, seconds, BARS[what])
            for what, by_door in self._times.items()
            for door, seconds in by_door.items()
        ]

    def record(self) -> dict[str, Any]:
        """What is kept."""
        worst = {what: self._worst(what) for what in self._times}
        return {
            "sdk": self.sdk,
            "worst_p99_s": {what: round(value, 3) for what, value in worst.items()},
            "counts": dict(self._counts),
            "refused_pushes": dict(self._refused),
            "rows": self.rows(),
        }

    def _worst(self, what: str) -> float:
        both = [each for seconds in self._times[what].values() for each in seconds]
        return percentile(both, 99)

    # --- what is printed --------------------------------------------------------------------------------------------

    def table(self) -> str:
        head = (
            f"{self.sdk:16}{'door':4}{'tries':>6}{'p50 s':>9}{'p99 s':>9}{'max s':>9}{'bar s':>7}"
        )
        return "\n".join([head, *(_line(row) for row in self.rows())])

    def line(self) -> str:
        """One line of figures."""
        times = [f"{_key(what)}_p99_s={self._worst(what):.3f}" for what in self._times]
        counts = [f"{name}={count}" for name, count in sorted(self._counts.items())]
        return " ".join(
            [f"recovery {self.sdk}:", *times, *counts, f"refused={dict(self._refused)}"]
        )


def _row(what: str, door: str, seconds: Sequence[float], bar: float) -> dict[str, Any]:
    figures = {f"p{percent}_s": percentile(seconds, percent) for percent in (50, 99)}
    figures["max_s"] = max(seconds)
    shown = {name: round(value, 3) for name, value in figures.items()}
    return {"what": what, "door": door, "tries": len(seconds), **shown, "bar_s": bar}


def _line(row: Mapping[str, Any]) -> str:
    times = "".join(f"{row[name]:9.3f}" for name in ("p50_s", "p99_s", "max_s"))
    return f"  {row['what']:14}{row['door']:6}{row['tries']:4}{times}{row['bar_s']:7.1f}"


def _key(what: str) -> str:
    return what.replace(" ", "_").replace("-", "_")
