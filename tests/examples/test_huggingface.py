"""On a model that does the sums, the sum is found at the token before the answer, an operand only where it stands."""

import runpy
import subprocess
import sys
from pathlib import Path

import numsym
from numsym.tasks import AdditionPrompts

PATH = Path(__file__).parents[2] / "examples" / "huggingface.py"
EXAMPLE = runpy.run_path(str(PATH), run_name="example")


def test_the_sum_is_found_where_it_is_said_and_an_operand_where_it_stands():
    task = AdditionPrompts(tokenizer=EXAMPLE["own_tokenizer"](), largest=EXAMPLE["LARGEST"], shots=1)
    model = EXAMPLE["own_model"](task)
    search = EXAMPLE["SEARCH"] | {"controls": ("floor",)}
    search |= {"search": search["search"] | {"max_steps": 40}, "pairs": search["pairs"] | {"train": 300}}
    last = numsym.align(model, task, program="prompt_sum", variable="sum", site="block_output:1", **search)
    assert last.iia > 0.9
    assert last.floor < 0.4
    gone = numsym.align(model, task, program="prompt_operands", variable="first", site="block_output:1", **search)
    assert gone.iia < 0.5
    task.intervene_at = "b"
    second = numsym.align(model, task, program="prompt_operands", variable="second", site="embeddings", **search)
    assert second.iia > 0.9
    assert second.floor < 0.5


def test_a_model_that_is_not_there_is_one_sentence():
    done = subprocess.run([sys.executable, str(PATH), "./nowhere"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "huggingface.py: tokenizer='./nowhere' is not allowed: there is no such folder\n"
