import subprocess
import sys

import pytest

from numsym_command.report import parsed


def test_folders_and_a_file(tmp_path):
    assert parsed([str(tmp_path), str(tmp_path)]) == ([str(tmp_path)] * 2, None)
    assert parsed([str(tmp_path), "--out", "a.html"]) == ([str(tmp_path)], "a.html")


def test_a_folder_that_is_not_there_is_one_sentence(capsys):
    with pytest.raises(SystemExit) as ended:
        parsed(["nowhere"])
    assert ended.value.code == 2
    assert capsys.readouterr().out == "numsym: 'nowhere' is not allowed: there is no such folder\n"


def test_help_and_a_typo_import_nothing_heavy():
    code = (
        "import sys; sys.argv = ['numsym', 'report', sys.argv[1]]; from numsym_command.main import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print([name for name in ('torch', 'altair', 'numsym') if name in sys.modules])"
    )
    for argument in ("--help", "nowhere"):
        done = subprocess.run([sys.executable, "-c", code, argument], capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == "[]"
