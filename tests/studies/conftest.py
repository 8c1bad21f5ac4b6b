"""Run folders with results that are written by hand."""

import pytest


@pytest.fixture
def finished():
    """From a folder, its configuration and its results: a finished run."""
    from numsym.lab.run import CONFIG, RESULTS, VERSIONS, _text, versions
    from numsym.storage import write_json, write_text

    def write(folder, config, results):
        folder.mkdir(parents=True)
        write_text(folder / CONFIG, _text(config))
        write_json(folder / VERSIONS, versions())
        if results is not None:
            write_json(folder / RESULTS, results)

    return write
