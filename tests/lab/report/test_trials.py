from numsym.lab.report.told import Told
from numsym.lab.report.trials import trials

ONE = {
    "exchanged": "count 1 to 3", "base_state": "demonstration, count 1", "source_state": "phase response, count 3",
    "differs": None, "tokens": {"base": ("B", "D<"), "source": ("T",), "program": ("R", "E"), "network": ("R", "E")},
}  # fmt: skip
WRONG = {**ONE, "differs": "token 2 after the exchange is R, not E", "tokens": {**ONE["tokens"], "network": ("R", "R")}}


def test_wrong_ones_come_first_and_what_is_wrong_is_marked():
    made = trials([ONE, WRONG], "t")
    assert made.index("wrong: token 2") < made.index("count 1 to 3; right")
    assert made.count('class="wrong"') == 1
    assert '<s title="not what the program says" class="wrong">R</s>' in made
    assert made.count('<mark title="the exchange happens here">D&lt;</mark>') == 2
    assert trials([], "t") == ""


def test_trials_of_a_run_are_what_its_alignments_do(finished):
    inside = Told.read(finished).said["inside"]
    assert [one["name"] for one in inside] == ["das", "laf"]
    for one in inside:
        for example in one["trials"]:
            tokens = example["tokens"]
            assert " ".join(tokens["base"]) == example["base"]
            assert " ".join(tokens["program"]) == example["program"]
            assert (tokens["program"] == tokens["network"]) == (example["differs"] is None)
