import errno
import os
import resource

import pytest
import torch
from safetensors.torch import save_file

from numsym.errors import RunFolderError
from numsym.storage import is_broken, new_folder, read_json, remove_unfinished, sealed, write_json, write_text


def test_a_folder_appears_whole(tmp_path):
    with new_folder(tmp_path / "deep" / "result") as folder:
        (folder / "a.txt").write_text("a")
        assert not (tmp_path / "deep" / "result").exists()
    assert (tmp_path / "deep" / "result" / "a.txt").read_text() == "a"
    assert os.listdir(tmp_path / "deep") == ["result"]


def test_a_failure_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt), new_folder(tmp_path / "result") as folder:
        (folder / "a.txt").write_text("a")
        raise KeyboardInterrupt
    assert os.listdir(tmp_path) == []


def test_what_a_disk_refuses_is_its_error_whoever_writes(tmp_path):
    """A process whose files may have a kilobyte: safetensors says so in words."""
    if (process := os.fork()) == 0:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
        try:
            with new_folder(tmp_path / "result") as folder:
                save_file({"x": torch.zeros(1000)}, folder / "a.safetensors")
        except OSError as error:
            os._exit(error.errno)
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == errno.EFBIG
    assert os.listdir(tmp_path) == []


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "result").mkdir()
    with pytest.raises(RunFolderError, match="exists already"), new_folder(tmp_path / "result"):
        raise AssertionError("the block must not start")


def test_files_are_replaced_in_one_step(tmp_path):
    write_json(tmp_path / "a.json", {"x": 1})
    with pytest.raises(TypeError):
        write_text(tmp_path / "a.json", 3)
    assert read_json(tmp_path / "a.json") == {"x": 1}
    assert os.listdir(tmp_path) == ["a.json"]


@pytest.mark.parametrize(
    ("umask", "file", "folder"), [(0o022, 0o644, 0o755), (0o002, 0o664, 0o775), (0o077, 0o600, 0o700)]
)
def test_modes_are_what_umask_gives(tmp_path, umask, file, folder):
    before = os.umask(umask)
    try:
        write_json(tmp_path / "a.json", {"x": 1})
        write_text(tmp_path / "a.json", "again")
        with new_folder(tmp_path / "result") as made:
            write_text(made / "b.txt", "b")
            save_file({"x": torch.zeros(1)}, made / "c.safetensors")  # private, by itself
        assert os.umask(umask) == umask  # as it was
    finally:
        os.umask(before)
    found = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.rglob("*")}
    assert found == {"a.json": file, "result": folder, "b.txt": file, "c.safetensors": file}


def unfinished(name):
    return f".{name}.numsym-unfinished-0a1b_c3d"


def test_what_a_killed_process_had_not_finished_is_removed_and_nothing_else(tmp_path):
    kept = {f"wandb/{unfinished('run')}", f".broken-model{unfinished('x')}", "model", "parts"}
    for name in (unfinished("model"), f"parts/{unfinished('two')}", *kept):
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
    own = {".my.settings", ".results.json.abcd1234", ".lock", "model/.gitignore", "model/weights"}
    for name in (unfinished("results.json"), *own):
        (tmp_path / name).write_text("")
    remove_unfinished(tmp_path)
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")}
    assert left == {"wandb", *kept, *own}


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_a_killed_process_leaves_is_known_by_its_name(kind, tmp_path, monkeypatch):
    """A process that really ends in the middle of writing."""
    monkeypatch.setattr(os, "replace", lambda *paths: os._exit(9))
    if (process := os.fork()) == 0:
        if kind == "file":
            write_text(tmp_path / "made", "x")
        with new_folder(tmp_path / "made"):
            os._exit(9)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 9
    assert len(os.listdir(tmp_path)) == 1
    remove_unfinished(tmp_path)
    assert os.listdir(tmp_path) == []


def test_values_that_are_not_what_was_written_are_known(tmp_path):
    write_json(tmp_path / "a.json", sealed({"x": 0.1, "by": {"10": (1, 2), "9": None}}))
    assert not is_broken(read_json(tmp_path / "a.json"))
    assert not is_broken({"x": 1})  # of an older version
    text = (tmp_path / "a.json").read_text()
    (tmp_path / "a.json").write_text(text.replace("0.1", "0.3"))
    assert is_broken(read_json(tmp_path / "a.json"))
