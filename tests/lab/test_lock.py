import json
import os
import subprocess
import sys

import pytest

from numsym.errors import RunFolderError
from numsym.lab.lock import NAME, Lock

HOLD = """
import sys, time
from pathlib import Path
from numsym.lab.lock import Lock
with Lock(Path(sys.argv[1])):
    print(1, flush=True)
    time.sleep(60)
"""


def test_a_lock_is_there_while_it_is_held(tmp_path):
    with Lock(tmp_path):
        assert json.loads((tmp_path / NAME).read_text())["pid"] == os.getpid()
    assert os.listdir(tmp_path) == []


def test_a_live_process_keeps_it_and_a_dead_one_does_not(tmp_path):
    held = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert held.stdout.readline() == "1\n"
    with pytest.raises(RunFolderError, match=f"is being written by process {held.pid}: wait for it"), Lock(tmp_path):
        pass
    held.kill()
    held.wait()
    with Lock(tmp_path):
        assert json.loads((tmp_path / NAME).read_text())["pid"] == os.getpid()


def test_of_another_host_nobody_can_tell(tmp_path):
    (tmp_path / NAME).write_text(json.dumps({"pid": 1, "host": "elsewhere"}))
    with (
        pytest.raises(RunFolderError, match=r"by process 1 on elsewhere: wait for it, or remove .*\.lock"),
        Lock(tmp_path),
    ):
        pass
    (tmp_path / NAME).write_text("")  # its writer was killed before it was filled
    with Lock(tmp_path):
        pass
