"""What the connections of a worker have in common with its client's, and what they have not. Nothing is connected."""

from __future__ import annotations

import pytest

from jobwire import AsyncClient, Client
from jobwire._worker_clients import async_sibling, heart_sibling, longest_wait, sibling

TCP, HTTP = "tcp://127.0.0.1:1", "http://127.0.0.1:1"


@pytest.mark.parametrize("url", [TCP, HTTP])
async def test_fetching_and_settling_are_given_up_after_a_silence_and_the_heart_is_not(
    url: str,
) -> None:
    client, other = Client(url), AsyncClient(url)

    for one in (sibling(client, 2.0), async_sibling(other, 2.0)):
        assert one._transport._silence == 2.0  # type: ignore[union-attr]
    for heart in (heart_sibling(client, 2.0, 0.5), heart_sibling(other, 2.0, 0.5)):
        assert heart._transport._silence in (None, float("inf"))  # type: ignore[attr-defined]
        assert heart._timeout == 0.5


@pytest.mark.parametrize(("own", "expected"), [(5.0, 2.0), (0.1, 0.1)])
async def test_to_connect_takes_no_longer_than_a_silence(own: float, expected: float) -> None:
    client, other = Client(TCP, connect_timeout=own), AsyncClient(TCP, connect_timeout=own)

    made = [
        sibling(client, 2.0),
        async_sibling(other, 2.0),
        heart_sibling(client, 2.0, 0.5),
        heart_sibling(other, 2.0, 0.5),
    ]

    assert [one._endpoint.connect_timeout for one in made] == [expected] * 4


def test_pulls_are_held_for_half_of_a_silence_where_the_server_cannot_be_asked() -> None:
    assert longest_wait(Client(TCP), 20.0, 10.0) == 20.0
    assert longest_wait(Client(HTTP), 20.0, 10.0) == 5.0
    assert longest_wait(Client(HTTP), 3.0, 10.0) == 3.0
