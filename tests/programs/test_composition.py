"""The running product against multiplying permutations, and numbers, by hand."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from numsym.programs import exchange, state_at, unroll
from numsym.tasks import Composition, Parity


def product(group, names):
    """The product of some elements, by name."""
    if group.startswith("Z"):
        return str(sum(map(int, names)) % int(group[1:]))
    images = list(range(int(group[1:])))
    for name in names:
        images = [images[int(image)] for image in name]
    return "".join(map(str, images))


@settings(max_examples=20, deadline=None)
@given(
    st.sampled_from(["Z2", "Z7", "Z12", "S3", "S4", "S5"]),
    st.lists(st.integers(1, 20), min_size=2, max_size=2),
    st.data(),
)
def test_after_every_exchange_the_rest_is_multiplied_to_the_sources_product(group, lengths, data):
    task = Parity() if group == "Z2" else Composition(group=group)
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 99)))
    batch = task.sample(2, plan={"target": torch.tensor(lengths)}, generator=generator)
    words = [task.text(row).split() for row in batch.input_ids]
    (name,) = task.program().variables
    for row, length in zip(range(2), lengths, strict=True):
        assert len(words[row]) == length + 4
        assert words[row][-3:] == ["=", product(group, words[row][1 : length + 1]), "E"]
        for t in range(1, length + 1):
            held = task.vocabulary.group.elements[int(batch.states[name][row, t])]
            assert held == product(group, words[row][1 : t + 1])
    t, s = (data.draw(st.integers(1, length)) for length in lengths)
    at = state_at(batch.states, torch.tensor([t, s]))
    base, source = ({key: value[i : i + 1] for key, value in at.items()} for i in (0, 1))
    for variable in (name, "full"):
        run = unroll(task.program(), exchange(base, source, task.program().block(variable)), generator=generator)
        said = task.text(run.tokens[0]).split()
        rest = said[: lengths[0] - t]
        assert said[len(rest) :] == ["=", product(group, [*words[1][1 : s + 1], *rest]), "E"]
        assert run.predictable[0].tolist() == [False] * (len(rest) + 1) + [True] * 2


@pytest.mark.parametrize("said", ["3", "E", "B"])
def test_a_wrong_answer_is_still_followed_by_the_end(said):
    task = Composition()
    program, word = task.program(), task.vocabulary.tokens.index
    state = program.start({"target": torch.tensor([1])})
    for token in ("B", "5", "=", said):
        state = program.update(state, torch.tensor([word(token)]))
    token, predictable = program.emit(state)
    assert task.vocabulary.tokens[int(token)] == ("P" if said == "E" else "E")
    assert bool(predictable) == (said != "E")
