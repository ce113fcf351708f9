"""Files are written wholly or not at all, through no link, readable by the umask."""

import errno
import os
import stat
import threading

import pytest

from analysis.spec.files import read_whole, write_whole


def text(value):
    return lambda file: file.write(value.encode())


def fail(file):
    file.write(b"half")
    raise KeyboardInterrupt


def test_what_was_written_is_read(tmp_path):
    path = tmp_path / "new" / "folder" / "x.json"
    write_whole(path, text("one"))
    write_whole(path, text("two"))
    assert read_whole(path) == b"two"
    assert os.listdir(path.parent) == ["x.json"]


def test_an_interrupted_write_leaves_what_was_there(tmp_path):
    path = tmp_path / "x"
    write_whole(path, text("old"))
    with pytest.raises(KeyboardInterrupt):
        write_whole(path, fail)
    assert os.listdir(tmp_path) == ["x"]
    assert read_whole(path) == b"old"


@pytest.mark.parametrize(
    ("umask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o077, 0o600)]
)
def test_the_umask_decides_who_may_read(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        write_whole(tmp_path / "x", text(""))
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == mode


def test_a_link_is_replaced_and_its_target_left_alone(tmp_path):
    victim, link = tmp_path / "victim", tmp_path / "link"
    victim.write_text("precious")
    link.symlink_to(victim)
    write_whole(link, text("new"))
    assert victim.read_text() == "precious"
    assert not link.is_symlink()
    assert link.read_text() == "new"


def test_a_file_at_the_temporary_name_is_not_written_through(tmp_path, monkeypatch):
    """Even where somebody guesses the name; it is 64 random bits."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    monkeypatch.setattr("analysis.spec.files.os.urandom", lambda n: bytes(n))
    (tmp_path / f"{bytes(8).hex()}.part").symlink_to(victim)
    with pytest.raises(FileExistsError):
        write_whole(tmp_path / "x", text("new"))
    assert victim.read_text() == "precious"
    assert (tmp_path / f"{bytes(8).hex()}.part").is_symlink()
    assert not (tmp_path / "x").exists()


def test_an_error_names_the_file_that_was_wanted(tmp_path):
    """A full disk says so by itself, but not where."""

    def full(file):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OSError, match=r"No space left on device: '.*x\.json'"):
        write_whole(tmp_path / "x.json", full)
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder'"):
        write_whole(tmp_path / "folder", text(""))
    assert os.listdir(tmp_path) == ["folder"]


def test_writers_of_one_file_do_not_meet(tmp_path):
    """Eight of them: a reader sees one whole text at any time."""
    path = tmp_path / "x"
    errors = []
    write_whole(path, text("0" * 5000))

    def work(name):
        try:
            for _ in range(10):
                write_whole(path, text(name * 5000))
                content = read_whole(path)
                assert len(content) == 5000
                assert len(set(content)) == 1
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in "12345678"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert os.listdir(tmp_path) == ["x"]


def test_only_regular_files_are_read(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for name in ("fifo", "."):
        with pytest.raises(OSError, match="not a regular file"):
            read_whole(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        read_whole(tmp_path / "absent")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with pytest.raises(FileNotFoundError):
        read_whole(tmp_path / "link")
    (tmp_path / "target").write_text("seen")
    assert read_whole(tmp_path / "link") == b"seen"
