"""Fetching a file: continued, checked, whole or not there, and never two versions in one."""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ood_core.errors import StoppedError
from ood_core.runtime import downloads
from ood_core.runtime.downloads import DownloadError, download_file
from ood_core.runtime.progress import Progress
from tests.file_server import FileServer

ROOT = Path(__file__).parents[2]
OLD = random.Random(0).randbytes(50_000)
NEW = random.Random(1).randbytes(50_000)
SHA = f"sha256:{hashlib.sha256(OLD).hexdigest()}"
CUT = 20_000


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "_CHUNK", 1000)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "file.bin"


@pytest.fixture
def address(server: FileServer) -> str:
    """A server that has OLD and says which version that is."""
    server.files["/file.bin"] = OLD
    server.versions["/file.bin"] = '"old"'
    return server.url("/file.bin")


def beside(target: Path) -> set[str]:
    """What lies in the target's folder, its lock left out."""
    return {path.name for path in target.parent.iterdir()} - {f"{target.name}.lock"}


def cut_short(server: FileServer, address: str, target: Path, **options: str) -> None:
    """Let the connection end after CUT bytes, then let the server be well again."""
    server.cut = CUT
    with pytest.raises(DownloadError, match="the connection ended after 20,000 of 50,000 bytes"):
        download_file(address, target, **options)
    server.cut = None
    server.asked.clear()
    server.conditions.clear()
    server.sent = 0


def test_a_file_arrives_with_progress_and_nothing_else_stays(address, target):
    seen: list[Progress] = []
    assert download_file(address, target, name="set", progress=seen.append) == target
    assert target.read_bytes() == OLD
    assert beside(target) == {"file.bin"}
    assert seen[0].stage == "downloading set: file.bin"
    assert seen[-1].done == seen[-1].total == len(OLD)


@pytest.mark.parametrize("checksum", ["", SHA, SHA[:15], f"md5:{hashlib.md5(OLD).hexdigest()}"])
def test_what_is_there_is_not_asked_for(server, address, target, checksum):
    for _ in range(2):
        download_file(address, target, checksum=checksum)
    assert len(server.asked) == 1


def test_what_is_there_and_wrong_is_replaced(address, target):
    target.parent.mkdir()
    target.write_bytes(b"half")
    assert download_file(address, target).read_bytes() == b"half"  # nothing says that it is wrong
    assert download_file(address, target, checksum=SHA).read_bytes() == OLD


@pytest.mark.parametrize("checks", [0, 1, 20, 50])
def test_what_was_stopped_goes_on_where_it_stopped(server, address, target, checks):
    """Asked before the first chunk and after each of 50, the last one included."""
    answers = iter([False] * checks + [True])
    with pytest.raises(StoppedError, match=r"stopped at \d+ of 50000: downloading file.bin"):
        download_file(address, target, should_stop=lambda: next(answers))
    part = target.with_name("file.bin.part")
    have = part.stat().st_size if part.exists() else 0
    assert have == 1000 * checks
    assert not target.exists()
    server.sent = 0
    assert download_file(address, target).read_bytes() == OLD
    assert server.sent == len(OLD) - have
    assert beside(target) == {"file.bin"}


@pytest.mark.parametrize("checksum", ["", SHA])
def test_a_lost_connection_keeps_what_arrived(server, address, target, checksum):
    cut_short(server, address, target, checksum=checksum)
    assert target.with_name("file.bin.part").read_bytes() == OLD[:CUT]
    assert download_file(address, target, checksum=checksum).read_bytes() == OLD
    assert server.asked == [("/file.bin", f"bytes={CUT}-")]
    assert server.conditions == ['"old"']
    assert server.sent == len(OLD) - CUT


def test_a_kill_keeps_what_arrived(server, address, target):
    server.cut, server.hold = CUT, threading.Event()
    code = (
        "import sys; from pathlib import Path; from ood_core.runtime import downloads as d;"
        "d._CHUNK = 1000; print(flush=True); d.download_file(sys.argv[1], Path(sys.argv[2]))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, address, str(target)], cwd=ROOT, stdout=subprocess.PIPE
    )
    part = target.with_name("file.bin.part")
    with process:
        process.stdout.readline()
        for _ in range(500):
            if part.exists() and part.stat().st_size >= CUT // 2:
                break
            threading.Event().wait(0.02)
        process.kill()
    server.hold.set()
    server.cut = server.hold = None
    have = part.stat().st_size
    assert CUT // 2 <= have <= CUT
    server.sent = 0
    assert download_file(address, target).read_bytes() == OLD
    assert server.sent == len(OLD) - have


def test_killed_between_the_last_byte_and_the_check(server, address, target):
    server.cut = len(OLD)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(downloads, "_digest", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            download_file(address, target, checksum=SHA)
    assert not target.exists()
    server.asked.clear()
    assert download_file(address, target, checksum=SHA).read_bytes() == OLD
    assert server.asked == []


def test_a_server_that_continues_nothing(server, address, target):
    server.ranges = False
    cut_short(server, address, target)
    assert download_file(address, target).read_bytes() == OLD
    assert server.asked == [("/file.bin", f"bytes={CUT}-")]
    assert server.sent == len(OLD)


def test_more_than_the_server_has_is_dropped(server, address, target):
    target.parent.mkdir()
    target.with_name("file.bin.part").write_bytes(OLD + b"too much")
    assert download_file(address, target, checksum=SHA).read_bytes() == OLD
    assert server.asked == [("/file.bin", "bytes=50008-"), ("/file.bin", None)]


def test_a_part_that_begins_elsewhere_is_not_taken(server, address, target):
    cut_short(server, address, target)
    server.wrong_range = True
    assert download_file(address, target).read_bytes() == OLD
    assert server.asked == [("/file.bin", f"bytes={CUT}-"), ("/file.bin", None)]


@pytest.mark.parametrize("obeys", [True, False])
@pytest.mark.parametrize("known_by", ["ETag", "date", "date beside a weak ETag"])
@pytest.mark.parametrize("checksum", [False, True])
def test_a_file_that_changed_is_fetched_anew(server, address, target, known_by, obeys, checksum):
    """Whether or not the server obeys If-Range, two versions never become one file."""
    if known_by != "ETag":
        del server.versions["/file.bin"]
        server.dates["/file.bin"] = "Wed, 21 Oct 2015 07:28:00 GMT"
    if known_by == "date beside a weak ETag":
        server.versions["/file.bin"] = 'W/"same"'
    cut_short(server, address, target)
    server.files["/file.bin"] = NEW
    if known_by == "ETag":
        server.versions["/file.bin"] = '"new"'
    else:
        server.dates["/file.bin"] = "Thu, 22 Oct 2015 07:28:00 GMT"
    server.obeys_if_range = obeys
    options = {"checksum": f"sha256:{hashlib.sha256(NEW).hexdigest()}"} if checksum else {}
    assert download_file(address, target, **options).read_bytes() == NEW
    expected = '"old"' if known_by == "ETag" else "Wed, 21 Oct 2015 07:28:00 GMT"
    assert server.conditions[0] == expected
    assert len(server.asked) == (1 if obeys else 2)


def test_a_file_of_another_length_is_fetched_anew(server, address, target):
    server.versions.clear()
    cut_short(server, address, target, checksum=SHA)
    longer = NEW + b"more"
    server.files["/file.bin"] = longer
    checksum = f"sha256:{hashlib.sha256(longer).hexdigest()}"
    assert download_file(address, target, checksum=checksum).read_bytes() == longer
    assert server.asked == [("/file.bin", f"bytes={CUT}-"), ("/file.bin", None)]


def test_without_version_and_checksum_nothing_is_continued(server, address, target):
    server.versions.clear()
    cut_short(server, address, target)
    server.files["/file.bin"] = NEW
    assert download_file(address, target).read_bytes() == NEW
    assert server.asked == [("/file.bin", None)]


def test_without_version_the_checksum_tells_and_the_file_is_fetched_anew(server, address, target):
    server.versions.clear()
    cut_short(server, address, target)
    server.files["/file.bin"] = NEW
    checksum = f"sha256:{hashlib.sha256(NEW).hexdigest()}"
    assert download_file(address, target, checksum=checksum).read_bytes() == NEW
    assert server.asked == [("/file.bin", f"bytes={CUT}-"), ("/file.bin", None)]


def test_a_part_from_another_address_is_continued_only_under_a_checksum(server, address, target):
    server.files["/mirror.bin"] = OLD
    for checksum, given in (("", None), (SHA, f"bytes={CUT}-")):
        cut_short(server, address, target)
        download_file(server.url("/mirror.bin"), target, checksum=checksum)
        assert server.asked == [("/mirror.bin", given)]
        assert server.conditions == [None]
        assert target.read_bytes() == OLD
        target.unlink()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": "\\"old\\""}'])
def test_a_note_that_says_nothing_is_not_trusted(server, address, target, content):
    cut_short(server, address, target)
    target.with_name("file.bin.part.json").write_text(content)
    server.files["/file.bin"] = NEW
    assert download_file(address, target).read_bytes() == NEW
    assert server.asked == [("/file.bin", None)]


def test_whatever_happens_the_file_is_one_version(server, address, target):
    """Cuts, stops and new versions at random: what is there in the end is one of them."""
    chance = random.Random(2)
    versions = [chance.randbytes(chance.randrange(3000, 6000)) for _ in range(6)]
    for _ in range(60):
        target.unlink(missing_ok=True)
        while not target.exists():
            if chance.random() < 0.4:
                number = chance.randrange(len(versions))
                server.files["/file.bin"] = versions[number]
                server.versions["/file.bin"] = f'"{number}"'
            server.obeys_if_range = chance.random() < 0.5
            server.ranges = chance.random() < 0.8
            server.cut = chance.choice([None, 500, 2500])
            checks = iter([False] * chance.randrange(12) + [True] * 99)
            stop = (lambda c=checks: next(c)) if chance.random() < 0.3 else None
            try:
                download_file(address, target, should_stop=stop)
            except (DownloadError, StoppedError):
                assert not target.exists()
        assert target.read_bytes() in versions


def test_a_damaged_file_is_removed_and_both_checksums_are_told(server, address, target):
    server.files["/file.bin"] = NEW
    digest = hashlib.sha256(NEW).hexdigest()[:8]
    wanted = rf"file\.bin is damaged: its checksum is sha256:{digest}, expected sha256:01234567"
    with pytest.raises(DownloadError, match=wanted) as told:
        download_file(address, target, checksum="sha256:01234567")
    assert f"copy it to {target}" in str(told.value)
    assert beside(target) == set()
    assert len(server.asked) == 1


def test_no_space(address, target, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 49_999}))
    with pytest.raises(DownloadError, match=r"0 MB are needed and 0 MB are free in .*folder\."):
        download_file(address, target)
    assert beside(target) == set()


def test_only_the_rest_needs_space(server, address, target, monkeypatch):
    cut_short(server, address, target)
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 30_000}))
    assert download_file(address, target).read_bytes() == OLD


def test_offline_says_what_to_do_and_where_to_put_the_file(target):
    address = "http://127.0.0.1:9/file.bin"
    with pytest.raises(DownloadError, match=r"cannot download set \(.*\)\. Check the net") as told:
        download_file(address, target, name="set")
    assert str(told.value).endswith(
        f"Without a network, copy the file to {target}; it is published at {address}."
    )


def test_offline_what_had_arrived_stays(server, address, target):
    cut_short(server, address, target)
    server.files.clear()
    with pytest.raises(DownloadError, match=r"\(Not Found\).*what arrived is kept"):
        download_file(address, target)
    assert target.with_name("file.bin.part").read_bytes() == OLD[:CUT]


def test_a_server_that_does_not_say_how_long_a_file_is(server, address, target):
    server.says_length = False
    seen: list[Progress] = []
    assert download_file(address, target, size=60_000, progress=seen.append).read_bytes() == OLD
    assert seen[0].total == 60_000


def test_threads_that_want_the_same_file_fetch_it_once(server, address, target):
    server.pause, found = 0.1, []
    threads = [
        threading.Thread(target=lambda: found.append(download_file(address, target)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert found == [target] * 8
    assert len(server.asked) == 1


def test_two_processes_that_want_the_same_file_fetch_it_once(server, address, target):
    server.pause = 1.0
    code = (
        "import sys; from pathlib import Path; from ood_core.runtime.downloads import *;"
        "download_file(sys.argv[1], Path(sys.argv[2]))"
    )
    command = [sys.executable, "-c", code, address, str(target)]
    processes = [subprocess.Popen(command, cwd=ROOT) for _ in range(2)]
    assert [process.wait(60) for process in processes] == [0, 0]
    assert target.read_bytes() == OLD
    assert len(server.asked) == 1


def test_waiting_for_another_process_can_be_stopped(address, target):
    from filelock import FileLock

    target.parent.mkdir()
    with (
        FileLock(f"{target}.lock"),
        pytest.raises(StoppedError, match=r"waiting for another download of file\.bin"),
    ):
        download_file(address, target, should_stop=lambda: True)


def test_the_note_says_which_version_was_begun(server, address, target):
    cut_short(server, address, target)
    note = json.loads(target.with_name("file.bin.part.json").read_text())
    assert note == {"url": address, "version": '"old"', "total": len(OLD)}
