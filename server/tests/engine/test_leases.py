"""A lease names one delivery of one job (JW-LEASE-1)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.engine.jobs import a_job

from jobwire_server.engine.leases import lease_of
from jobwire_server.ids import IdMaker
from jobwire_server.wire import limits

deliveries = st.integers(0, 2**63 - 1)


@given(deliveries, deliveries)
def test_two_deliveries_never_have_the_same_lease(one: int, other: int) -> None:
    leases = {lease_of(replace(a_job("active"), delivery=number)) for number in (one, other)}

    assert len(leases) == len({one, other})


def test_two_jobs_never_have_the_same_lease() -> None:
    new = IdMaker().new

    leases = {lease_of(a_job("active", id=new())) for _ in range(1_000)}

    assert len(leases) == 1_000


@given(deliveries)
def test_a_lease_fits_its_limit(delivery: int) -> None:
    assert len(lease_of(replace(a_job("active"), delivery=delivery))) <= limits.KEY_BYTES
