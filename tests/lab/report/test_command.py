import pytest

from numsym.lab.report.command import run


def test_it_says_where_the_page_is(finished, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run([str(finished)], "page.html")
    assert capsys.readouterr().out == "report   page.html\n"
    assert (tmp_path / "page.html").exists()


def test_what_is_no_run_is_one_sentence(tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        run([str(tmp_path)], None)
    assert ended.value.code == 2
    assert capsys.readouterr().out.startswith("numsym: ")
