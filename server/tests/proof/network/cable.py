"""A network namespace at the other end of a virtual cable that can be pulled: packets are lost as on a real network, in the kernel."""

from __future__ import annotations

import os
import shutil
import subprocess
from types import TracebackType

import pytest

NETWORK = "10.231.77"  # of the cable only; nothing is routed anywhere else
SERVER_SIDE, WORKER_SIDE = f"{NETWORK}.1", f"{NETWORK}.2"


class Cable:
    """From `__enter__` to `__exit__`; `inside` is how a command is started at the other end."""

    def __init__(self) -> None:
        self._name = f"proof-{os.getpid()}"
        self._near, self._far = f"pn{os.getpid()}", f"pf{os.getpid()}"
        self.inside = ("ip", "netns", "exec", self._name)

    def __enter__(self) -> Cable:
        if shutil.which("ip") is None or os.geteuid() != 0:
            pytest.skip("NO NETWORK NAMESPACE: this needs root and iproute2")
        try:
            _ip("netns", "add", self._name)
        except subprocess.CalledProcessError as error:
            pytest.skip(f"NO NETWORK NAMESPACE: {error.stderr.strip()}")
        try:
            self._lay()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._remove()

    def pull(self) -> None:
        _ip("link", "set", self._near, "down")

    def plug(self) -> None:
        _ip("link", "set", self._near, "up")

    def _lay(self) -> None:
        _ip("link", "add", self._near, "type", "veth", "peer", "name", self._far)
        _ip("link", "set", self._far, "netns", self._name)
        _ip("address", "add", f"{SERVER_SIDE}/30", "dev", self._near)
        _ip("link", "set", self._near, "up")
        _ip("-n", self._name, "address", "add", f"{WORKER_SIDE}/30", "dev", self._far)
        _ip("-n", self._name, "link", "set", self._far, "up")

    def _remove(self) -> None:
        """The cable goes with the namespace that its far end is in."""
        _ip("netns", "delete", self._name)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True, timeout=10)
