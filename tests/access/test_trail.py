"""The record in files: a chain that shows what was changed, cut or lost, and that goes on after a crash."""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from apothecary.access.records import NONE
from apothecary.access.trail import END, TORN, Trail, end_of, file_of
from apothecary.access.trail_check import verify
from apothecary.errors import StartError, Unreachable
from tests.waiting import until


def line(said: str | None = None) -> bytes:
    event = {"resourceType": "AuditEvent", "meta": {"tag": [{"system": "urn:apothecary:audit-chain", "code": NONE}]}}
    return json.dumps(event | ({"outcomeDesc": said} if said else {})).encode()


def trail(folder: Path, **more: Any) -> Trail:
    return Trail(folder, **{"size": 1 << 20, "files": 0, "durable": False, "begin": line} | more)


def written(folder: Path, lines: int = 5, **more: Any) -> Path:
    """A record of so many lines behind the first."""
    one = trail(folder, **more)
    for number in range(lines):
        one.append([line(f"event {number}")])
    one.close()
    return folder


def texts(folder: Path, number: int = 1) -> list[bytes]:
    return file_of(folder, number).read_bytes().splitlines(keepends=True)


def test_each_line_has_the_hash_of_the_one_before_it(tmp_path: Path) -> None:
    found = verify(written(tmp_path))
    assert (found.lines, found.files, found.fault) == (6, 1, None)
    assert verify(tmp_path, found.digest).noted
    assert not verify(tmp_path, "f" * 64).noted


def change(folder: Path) -> None:
    lines = texts(folder)
    lines[2] = lines[2].replace(b"event 1", b"event 9")
    file_of(folder, 1).write_bytes(b"".join(lines))


def drop(folder: Path) -> None:
    lines = texts(folder)
    file_of(folder, 1).write_bytes(b"".join(lines[:2] + lines[3:]))


def add(folder: Path) -> None:
    lines = texts(folder)
    file_of(folder, 1).write_bytes(b"".join([*lines[:2], lines[2], *lines[2:]]))


def cut(folder: Path) -> None:
    file_of(folder, 1).write_bytes(b"".join(texts(folder)[:-1]))


def cut_in_the_midst(folder: Path) -> None:
    os.truncate(file_of(folder, 1), file_of(folder, 1).stat().st_size - 5)


def spoil(folder: Path) -> None:
    lines = texts(folder)
    lines[3] = b"nothing\n"
    file_of(folder, 1).write_bytes(b"".join(lines))


def change_the_last(folder: Path) -> None:
    lines = texts(folder)
    lines[-1] = lines[-1].replace(b"event 4", b"event 9")
    file_of(folder, 1).write_bytes(b"".join(lines))


@pytest.mark.parametrize(
    ("harm", "place", "said"),
    [
        (change, ":4", "does not follow"),
        (drop, ":3", "does not follow"),
        (add, ":4", "does not follow"),
        (cut, ":5", "is cut"),
        (cut_in_the_midst, ":6", "no event"),
        (spoil, ":5", "no server has said"),
        (change_the_last, ":6", "not the last line"),
    ],
)
def test_the_first_line_that_was_tampered_with_is_named(
    tmp_path: Path, harm: Callable[[Path], None], place: str, said: str
) -> None:
    harm(written(tmp_path))
    fault = verify(tmp_path).fault
    assert fault is not None
    assert fault.startswith(f"{file_of(tmp_path, 1)}{place}: ")
    assert said in fault


def test_a_server_that_goes_on_behind_a_cut_does_not_hide_it(tmp_path: Path) -> None:
    cut(written(tmp_path))
    written(tmp_path, 2)
    fault = verify(tmp_path).fault
    assert fault is not None
    assert fault.startswith(f"{file_of(tmp_path, 1)}:6: ")


def test_files_are_of_a_bounded_size_and_number_and_a_missing_one_is_named(tmp_path: Path) -> None:
    written(tmp_path, 40, size=1000, files=4)
    kept = sorted(tmp_path.glob("audit-*"))
    assert len(kept) == 4
    assert all(one.stat().st_size <= 1000 for one in kept)
    assert verify(tmp_path).fault is None
    for one in (kept[0], kept[1], kept[-1]):
        text = one.read_bytes()
        one.unlink()
        assert verify(tmp_path).fault == f"{one}: the file is missing"
        one.write_bytes(text)
    assert verify(tmp_path).fault is None


@pytest.mark.parametrize("rest", [b'{"resourceType":"Audi', b"", b"x\n"])
def test_a_line_that_a_crash_tore_is_closed_and_said_to_be_torn(tmp_path: Path, rest: bytes) -> None:
    written(tmp_path, 2)
    before = (tmp_path / END).read_bytes()
    written(tmp_path, 2)
    (tmp_path / END).write_bytes(before)  # the process was killed between writing lines and saying so
    with file_of(tmp_path, 1).open("ab") as file:
        file.write(rest)
    again = written(tmp_path, 1)
    assert verify(again).fault is None
    assert (TORN.encode() in b"".join(texts(again))) == bool(rest)


def test_a_process_that_is_killed_after_another_file_began_loses_nothing(tmp_path: Path) -> None:
    written(tmp_path, 2, size=1000)
    before = (tmp_path / END).read_bytes()
    written(tmp_path, 20, size=1000)
    (tmp_path / END).write_bytes(before)
    found = verify(written(tmp_path, 1, size=1000))
    assert (found.lines, found.fault) == (1 + 2 + 1 + 20 + 1 + 1, None)


def test_nothing_is_left_of_what_could_not_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = trail(tmp_path)
    write, full = os.write, [False]

    def half(handle: int, text: bytes) -> int:
        if full[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        full[0] = True
        return write(handle, bytes(text)[:10])

    with monkeypatch.context() as patched:
        patched.setattr("apothecary.access.trail.os.write", half)
        with pytest.raises(Unreachable):
            one.append([line("lost")])
    one.append([line("kept")])
    found = verify(tmp_path)
    assert (found.lines, found.fault) == (2, None)
    assert b"lost" not in file_of(tmp_path, 1).read_bytes()


def test_threads_share_a_write_and_each_waits_for_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = trail(tmp_path, durable=True)
    synced = 0
    sync = os.fdatasync

    def counted(handle: int) -> None:
        nonlocal synced
        synced += 1
        sync(handle)

    monkeypatch.setattr("apothecary.access.trail.os.fdatasync", counted)
    done: list[bool] = []

    def work(number: int) -> None:
        said = f"thread {number}"
        one.append([line(said)])
        done.append(said.encode() in file_of(tmp_path, 1).read_bytes())

    threads = [threading.Thread(target=work, args=(number,)) for number in range(20)]
    with one._turn:  # all of them come while one writes
        for each in threads:
            each.start()
        assert until(lambda: len(one._waiting) == len(threads))
    for each in threads:
        each.join()
    assert done == [True] * 20
    assert synced == 1


def _append(folder: Path, name: str) -> None:
    one = trail(folder, size=2000)
    for number in range(50):
        one.append([line(f"{name} {number}"), line(f"{name} {number} too")])
    one.close()


def test_processes_share_one_chain(tmp_path: Path) -> None:
    context = get_context("spawn")
    workers = [context.Process(target=_append, args=(tmp_path, name)) for name in ("first", "second")]
    for one in workers:
        one.start()
    for one in workers:
        one.join()
    found = verify(tmp_path)
    assert (found.lines, found.fault) == (2 * 101, None)


def test_the_record_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    folder = written(tmp_path / "audit")
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [one.stat().st_mode & 0o777 for one in folder.iterdir()] == [0o600, 0o600]


def test_a_folder_that_cannot_be_written_to_or_read_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StartError, match="APOTHECARY_AUDIT_FOLDER"):
        trail(tmp_path / "file")
    with pytest.raises(StartError, match=END):
        verify(tmp_path / "nowhere")
    written(tmp_path / "spoilt")
    (tmp_path / "spoilt" / END).write_bytes(b"{nothing")
    with pytest.raises(StartError, match="damaged"):
        verify(tmp_path / "spoilt")
    with pytest.raises(StartError, match="damaged"):
        trail(tmp_path / "spoilt")


def test_the_end_that_is_kept_is_of_one_size(tmp_path: Path) -> None:
    written(tmp_path, 3, size=500)
    handle = os.open(tmp_path / END, os.O_RDONLY)
    end = end_of(handle)
    os.close(handle)
    assert (tmp_path / END).stat().st_size == 256
    assert end.last == len(list(tmp_path.glob("audit-*")))


@pytest.fixture
def turned(tmp_path: Path) -> Path:
    """A record of which older files went already: three are kept, each of some lines."""
    folder = written(tmp_path, 40, size=800, files=3)
    assert first_of(folder) > 2
    assert verify(folder).fault is None
    return folder


def first_of(folder: Path) -> int:
    return int(json.loads((folder / END).read_bytes())["first"])


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        (lambda lines: lines[1:], "does not follow"),
        (lambda lines: lines[2:], "does not follow"),
        (lambda _: [], "the file is empty"),
        (lambda lines: [lines[0][:-9]], "no event"),
    ],
    ids=["first line", "two lines", "all lines", "cut"],
)
def test_the_oldest_file_that_is_kept_is_as_safe_as_others(
    turned: Path, kept: Callable[[list[bytes]], list[bytes]], said: str
) -> None:
    number = first_of(turned)
    file_of(turned, number).write_bytes(b"".join(kept(texts(turned, number))))
    assert said in str(verify(turned).fault)


def test_what_was_tampered_with_is_found_also_when_the_files_before_it_went(turned: Path) -> None:
    number = first_of(turned) + 1
    file_of(turned, number).write_bytes(b"".join(texts(turned, number)[1:]))
    one = trail(turned, size=800, files=3)
    while first_of(turned) < number:
        one.append([line("more")])
    one.close()
    assert "does not follow" in str(verify(turned).fault)


def test_files_of_which_the_end_does_not_tell_are_named(turned: Path) -> None:
    names = [file_of(turned, number) for number in range(first_of(turned), first_of(turned) + 3)]
    (turned / END).unlink()
    # A server that starts then begins a record anew.
    trail(turned, size=800, files=3).close()
    assert str(verify(turned).fault).startswith(str(names[0]))


@pytest.mark.parametrize("wrong", [{"first": 99}, {"first": -1}, {"last": 0}, {"last": 10**25}, {"size": -5}])
def test_an_end_that_cannot_be_is_no_end(turned: Path, wrong: dict[str, int]) -> None:
    told = json.loads((turned / END).read_bytes()) | wrong
    (turned / END).write_bytes(json.dumps(told).encode().ljust(256))
    with pytest.raises(StartError, match="damaged"):
        verify(turned)
    with pytest.raises(StartError, match="damaged"):
        trail(turned, size=800, files=3)


def test_a_file_that_a_killed_process_did_not_remove_goes_at_the_next_start(turned: Path) -> None:
    old = file_of(turned, first_of(turned) - 1)
    old.write_bytes(b"old\n")
    assert str(old) in str(verify(turned).fault)
    trail(turned, size=800, files=3).close()
    assert not old.exists()
    assert verify(turned).fault is None


def test_whatever_fails_nobody_is_told_that_a_line_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = trail(tmp_path)

    def fail(*_: Any) -> None:
        raise MemoryError

    outcomes: list[str] = []

    def ask() -> None:
        try:
            one.append([line("lost")])
        except (MemoryError, Unreachable) as error:
            outcomes.append(type(error).__name__)
        else:
            outcomes.append("there")

    # Both lines are in one write: the second is waiting when the first begins to take what there is.
    monkeypatch.setattr(one, "_write", fail)
    with one._turn:
        threads = [threading.Thread(target=ask) for _ in range(2)]
        for each in threads:
            each.start()
        until(lambda: len(one._waiting) == 2)
    for each in threads:
        each.join(30)
    assert sorted(outcomes) == ["MemoryError", "Unreachable"]
    one.close()
