"""The state folder: whose it is, who may read it, and that only one run has it."""

import stat
import threading

import pytest

from isthmus import file_lock, state
from isthmus.errors import Busy

pytestmark = pytest.mark.usefixtures("folders")


def test_every_environment_has_a_folder_of_its_own_for_its_owner_alone(tmp_path):
    made = state.ensure_folder("pair")
    assert made == state.folder("pair") == tmp_path / "home/environments/pair"
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    assert not state.folder("other").exists()


def test_what_is_known_is_what_was_written_down(tmp_path):
    assert state.environment_names() == []
    for name in ("b", "a"):
        state.write_private(state.folder(name) / "environment.yaml", "name: x")
    state.ensure_folder("half")
    assert state.environment_names() == ["a", "b"]


def test_a_private_file_is_its_owners_alone_from_its_first_byte(tmp_path):
    path = tmp_path / "new" / "key"
    state.write_private(path, "secret")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    path.chmod(0o644)
    state.write_private(path, "other")
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("other", 0o600)
    assert list(path.parent.iterdir()) == [path]


def test_many_threads_may_write_one_file_and_it_is_always_whole(tmp_path):
    path, texts, failed = tmp_path / "file", [c * 100_000 for c in "abcd"], []

    def write(text):
        try:
            for _ in range(25):
                state.write_private(path, text)
                assert path.read_text() in texts
        except (AssertionError, OSError) as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=[text]) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def test_only_one_run_has_an_environment_and_the_next_one_gets_it():
    with file_lock.acquire("pair"):
        with pytest.raises(Busy, match="pair is in use") as caught, file_lock.acquire("pair"):
            pass
        assert "isthmus status pair" in caught.value.hint
        with file_lock.acquire("other"):
            pass
    with file_lock.acquire("pair"):
        pass


def test_folders_named_by_a_person_are_meant_from_their_home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("ISTHMUS_HOME", "~/mine")
    assert state.home() == tmp_path / "mine"
    monkeypatch.delenv("ISTHMUS_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert state.home() == tmp_path / "data/isthmus"
