"""A WAL that was damaged is told apart from one that a crash cut short."""

from __future__ import annotations

import asyncio
from pathlib import Path

import apsw
import pytest
from tests.proof.power.damage import FRAME, NAME, WAL, WAL_HEAD, Store, filled
from tests.proof.power.opening import lay_out

from jobwire_server.errors import StoreUnusable
from jobwire_server.store.sqlite.wal import check_wal


@pytest.fixture
async def store(tmp_path: Path) -> Store:
    return await filled(tmp_path / "store", in_wal=True)


def written(store: Store, wal: bytes, folder: Path) -> Path:
    return lay_out({**store.image, WAL: wal}, folder / "damaged")


def commit_frames(wal: bytes) -> list[int]:
    """Where the frames begin that end a commit."""
    starts = range(WAL_HEAD, len(wal), FRAME)
    return [start for start in starts if any(wal[start + 4 : start + 8])]


@pytest.mark.parametrize("place", [9, WAL_HEAD + 2, WAL_HEAD + FRAME + 100])
async def test_a_flipped_byte_before_whole_commits_is_refused(
    store: Store, tmp_path: Path, place: int
) -> None:
    wal = bytearray(store.image[WAL])
    wal[place] ^= 1

    with pytest.raises(StoreUnusable, match="commits behind the damage"):
        check_wal(written(store, bytes(wal), tmp_path), None)


async def test_a_sector_of_zeros_does_not_make_the_wal_an_empty_one(
    store: Store, tmp_path: Path
) -> None:
    wal = bytes(512) + store.image[WAL][512:]

    with pytest.raises(StoreUnusable, match="commits behind the damage"):
        check_wal(written(store, wal, tmp_path), None)


async def test_a_new_wal_whose_header_never_reached_the_disk_is_accepted(
    store: Store, tmp_path: Path
) -> None:
    first, second, *_ = commit_frames(store.image[WAL])
    wal = bytes(WAL_HEAD) + store.image[WAL][WAL_HEAD : first + FRAME]
    assert first < second

    check_wal(written(store, wal, tmp_path), None)


async def test_what_a_crash_leaves_is_accepted(store: Store, tmp_path: Path) -> None:
    whole = store.image[WAL]
    *_, before, last = commit_frames(whole)
    torn = bytearray(whole)
    torn[before + FRAME : last] = bytes(last - before - FRAME)  # of the last commit only its end

    for left in (whole, b"", bytes(WAL_HEAD), bytes(FRAME * 3), whole[: last + 700], bytes(torn)):
        check_wal(written(store, left, tmp_path), None)


async def test_a_frame_whose_head_was_torn_between_two_sectors_is_no_commit(
    store: Store, tmp_path: Path
) -> None:
    """Of the commit under way one sector came and the one before it did not: the flag in it is that of an older frame."""
    whole = store.image[WAL]
    ends = commit_frames(whole)
    inner = [start for start in range(WAL_HEAD, len(whole), FRAME) if start not in ends]
    start = next(start for start in inner if (start + 8) % 512 == 0)
    end = next(end for end in ends if end > start)
    torn = bytearray(whole[: end + FRAME])
    torn[start : start + 8] = whole[ends[0] : ends[0] + 8]

    check_wal(written(store, bytes(torn), tmp_path), None)

    other = next(other for other in inner if other < end and (other + 8) % 512)
    torn[other : other + 8] = whole[ends[0] : ends[0] + 8]
    with pytest.raises(StoreUnusable, match="commits behind the damage"):
        check_wal(written(store, bytes(torn), tmp_path), None)


async def test_the_frames_of_an_earlier_life_are_no_damage(store: Store, tmp_path: Path) -> None:
    """The WAL was begun anew, and the power went before its first commit: a new header, and old frames behind it."""
    other = await filled(tmp_path / "other", in_wal=True)

    begun = other.image[WAL][:WAL_HEAD] + store.image[WAL][WAL_HEAD:]
    check_wal(written(store, begun, tmp_path), None)


async def test_a_program_that_holds_the_file_is_waited_for(store: Store, tmp_path: Path) -> None:
    path = written(store, store.image[WAL], tmp_path)
    other = apsw.Connection(str(path))
    other.pragma("locking_mode", "exclusive")
    other.execute("BEGIN IMMEDIATE")

    looking = asyncio.create_task(asyncio.to_thread(check_wal, path, None))
    await asyncio.sleep(0.05)
    assert not looking.done()
    other.execute("ROLLBACK")
    other.close()
    await looking


async def test_looking_changes_nothing(store: Store, tmp_path: Path) -> None:
    path = written(store, store.image[WAL], tmp_path)

    check_wal(path, None)

    assert path.read_bytes() == store.image[NAME]
    assert path.with_name(WAL).read_bytes() == store.image[WAL]
