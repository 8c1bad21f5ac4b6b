"""Interchange pairs against the words of the trials, read by hand."""

import pytest
import torch

from numsym.alignment.pairs import interchange_pairs
from numsym.errors import InvalidArgumentError, UnknownNameError
from numsym.programs import exchange, state_at, unroll
from numsym.tasks import TASKS, MultiObject


def words_of(task, ids):
    return [task.vocabulary.tokens[i] for i in ids.tolist()]


def value(words, same):
    """(phase, count) after these words under Up-Down."""
    phase, count = -1, 0
    for word in words:
        if word == "T":
            phase = 1
        elif word == "R" or (same and word == "D" and phase == 1):
            count -= 1
        elif word.startswith("D"):
            count += 1
    return phase, count


@pytest.mark.parametrize("name", ["multi_object", "same_object"])
@pytest.mark.parametrize("variable", ["count", "phase", "full"])
@pytest.mark.parametrize("split", ["train", "held_out"])
def test_what_follows_is_what_the_exchanged_value_implies(name, variable, split, generator):
    task, same = TASKS[name](void_prob=0.2), name == "same_object"
    pairs = interchange_pairs(task, task.program("up_down"), (variable,), 100, split=split, generator=generator)
    for i in range(100):
        at, base = int(pairs.base_at[i]), words_of(task, pairs.base_ids[i])
        source = words_of(task, pairs.source_ids[i])[: int(pairs.source_at[i]) + 1]
        assert base[at][0] in "DR"
        assert source[-1][0] in "DR"
        (phase, count), (source_phase, source_count) = value(base[: at + 1], same), value(source, same)
        phase = source_phase if variable in ("phase", "full") else phase
        count = source_count if variable in ("count", "full") else count
        rest = base[at + 1 : base.index("E", at + 1) + 1]
        scored = pairs.scored[i, at + 1 : at + 1 + len(rest)].tolist()
        if phase == -1:
            demonstrated = sum(w.startswith("D") for w in rest[: rest.index("T")])
            count, rest, scored = count + demonstrated, rest[rest.index("T") + 1 :], scored[rest.index("T") + 1 :]
            assert count >= pairs.base_counts[i]
            assert demonstrated == 0 or count == pairs.base_counts[i]
        assert rest == (["D" if same else "R"] * count) + ["E"]
        assert all(scored)
    assert not (pairs.scored & ~pairs.base_mask).any()
    held_out = set(task.held_out)
    assert set(pairs.base_counts.tolist()) <= (held_out if split == "held_out" else set(task.counts) - held_out)


def test_nothing_before_the_exchange_is_scored(generator):
    task = MultiObject()
    pairs = interchange_pairs(task, task.program(), ("count",), 200, generator=generator)
    position = torch.arange(pairs.base_ids.shape[1])
    assert not (pairs.scored & (position <= pairs.base_at[:, None])).any()
    assert pairs.scored.any(1).all()
    assert (pairs.source_mask.sum(1) == pairs.source_at + 1).all()


def test_pairs_know_whether_the_exchange_changes_anything(generator):
    task = MultiObject()
    for program, variable in (("up_down", "full"), ("up_down", "count"), ("ctx_distr", "value")):
        pairs = interchange_pairs(task, task.program(program), (variable,), 300, generator=generator)
        for i in range(300):
            at, source = int(pairs.base_at[i]), words_of(task, pairs.source_ids[i])[: int(pairs.source_at[i]) + 1]
            base = words_of(task, pairs.base_ids[i])[: at + 1]
            (phase, count), (source_phase, source_count) = value(base, same=False), value(source, same=False)
            differs = {
                "full": (phase, count) != (source_phase, source_count),
                "count": count != source_count,
                "value": (base[-1] == "R") != (source[-1] == "R"),
            }
            assert bool(pairs.changed[i]) == differs[variable]
        assert 0 < pairs.changed.float().mean() < 1


def test_several_variables_are_exchanged_one_at_a_time(generator):
    task = MultiObject()
    pairs = interchange_pairs(task, task.program("up_up"), ("demo_count", "resp_count"), 400, generator=generator)
    assert set(pairs.block.tolist()) == {0, 1}
    exchanged = torch.where(pairs.block == 0, pairs.state["demo_count"], pairs.state["resp_count"])
    assert torch.equal(exchanged, pairs.source_value)


def test_positions_are_filtered_in_base_and_source(generator):
    task = MultiObject()
    wanted = {"phase": 1, "count": (2, 4)}
    pairs = interchange_pairs(task, task.program(), ("count",), 300, positions=wanted, generator=generator)
    assert len(pairs) == 300
    assert set(pairs.base_value.tolist()) == set(pairs.source_value.tolist()) == {2, 3, 4}
    with pytest.raises(InvalidArgumentError, match=r"positions=\{'count': 50\} is not allowed: of 1000 trials only 0"):
        interchange_pairs(task, task.program(), ("count",), 10, positions={"count": 50})
    with pytest.raises(UnknownNameError, match="unknown variable in positions 'counts'"):
        interchange_pairs(task, task.program(), ("count",), 10, positions={"counts": 5})


def test_pairs_seen_before_are_left_out():
    task = TASKS["single_object"](counts=(1, 2), held_out=())
    draw = [
        interchange_pairs(task, task.program(), ("count",), 60, generator=torch.Generator().manual_seed(s))
        for s in (0, 1)
    ]
    assert len(draw[0].without(draw[0])) == 0
    fresh, known = draw[1].without(draw[0]), set(draw[0].keys())
    assert 0 < len(fresh) < 60 or len(known) == len(set(draw[0].keys()) | set(draw[1].keys()))
    assert not known & set(fresh.keys())


def test_permuted_sources_keep_the_bases(generator):
    task = MultiObject()
    pairs = interchange_pairs(task, task.program(), ("count",), 100, generator=generator)
    mixed = pairs.with_permuted_sources(generator)
    assert torch.equal(mixed.base_ids, pairs.base_ids)
    assert sorted(mixed.source_value.tolist()) == sorted(pairs.source_value.tolist())
    assert not torch.equal(mixed.source_ids, pairs.source_ids)
    row = 7
    match = (pairs.source_ids == mixed.source_ids[row]).all(1) & (pairs.source_at == mixed.source_at[row])
    assert (pairs.source_value[match] == mixed.source_value[row]).all()
    assert torch.equal(mixed.source_state["count"], mixed.source_value)
    assert torch.equal(mixed.base_state["count"], mixed.base_value)
    assert torch.equal(pairs.state["phase"], pairs.base_state["phase"])  # of which nothing is exchanged


def test_the_same_seed_gives_another_program_the_same_trials():
    task = MultiObject(void_prob=0.2)
    drawn = {}
    for program, variable in (("up_down", "count"), ("up_up", "demo_count"), ("up_up", "full")):
        generator = torch.Generator().manual_seed(5)
        drawn[program, variable] = [
            interchange_pairs(task, task.program(program), (variable,), n, generator=generator) for n in (80, 40)
        ]
    first = drawn["up_down", "count"]
    for pairs in drawn.values():
        for a, b in zip(first, pairs, strict=True):
            position = torch.arange(int(a.base_at.max()) + 1)
            prefix = position <= a.base_at[:, None]
            assert torch.equal(a.base_at, b.base_at)
            assert torch.equal(a.source_at, b.source_at)
            assert torch.equal(a.source_ids, b.source_ids)
            assert torch.equal(a.base_ids[:, position][prefix], b.base_ids[:, position][prefix])
    # While both trials demonstrate, the two programs say the same, and so do the tokens that neither says.
    up_down, up_up = first[0], drawn["up_up", "demo_count"][0]
    early = [
        row for row in range(80)
        if "T" not in words_of(task, up_down.source_ids[row]) and int(up_down.state["phase"][row]) == -1
    ]  # fmt: skip
    assert len(early) > 5
    length = min(up_down.base_ids.shape[1], up_up.base_ids.shape[1])
    assert torch.equal(up_down.base_ids[early, :length], up_up.base_ids[early, :length])


def test_sources_may_come_from_another_task(generator):
    multi, single = MultiObject(), TASKS["single_object"](void_prob=0.2)
    other = (single, single.program("up_down"))
    pairs = interchange_pairs(multi, multi.program(), ("count",), 50, generator=generator, source=other)
    for i in range(50):
        source = words_of(single, pairs.source_ids[i])[: int(pairs.source_at[i]) + 1]
        assert value(source, same=False)[1] == int(pairs.source_value[i]) == int(pairs.state["count"][i])
    with pytest.raises(UnknownNameError, match="unknown variable of the source's program 'count'"):
        interchange_pairs(multi, multi.program(), ("count",), 5, source=(single, single.program("up_up")))


@pytest.mark.parametrize("name", list(TASKS))
def test_every_task_gives_pairs_for_every_variable_of_every_program(name, generator, tokenizer):
    task = TASKS[name](**({"tokenizer": tokenizer} if name.endswith("prompts") else {}))
    for program in map(task.program, task.programs):
        for variable in (*program.variables, "full"):
            split = "held_out" if task.has_held_out and variable == "full" else "train"
            pairs = interchange_pairs(task, program, (variable,), 20, split=split, generator=generator)
            assert len(pairs) == 20
            assert pairs.scored.any(1).all()
            allowed = task.intervenable(pairs.base_ids) & pairs.base_mask
            assert allowed.gather(1, pairs.base_at[:, None]).all()


@pytest.mark.parametrize("name", list(TASKS))
def test_exchanging_everything_with_itself_changes_nothing(name, generator, tokenizer):
    task = TASKS[name](**({"tokenizer": tokenizer} if name.endswith("prompts") else {}))
    batch = task.sample(30, generator=generator)
    at = torch.multinomial(task.intervenable(batch.input_ids).float(), 1, generator=generator)[:, 0]
    for program in map(task.program, task.programs):
        state = state_at(task.trace(program, batch).states, at)
        run = unroll(program, exchange(state, state, program.variables), generator=generator)
        assert torch.equal((run.tokens != task.vocabulary.pad).sum(1), batch.lengths - at - 1)
        for row in range(30):
            rest = slice(int(at[row]) + 1, int(batch.lengths[row]))
            length = rest.stop - rest.start
            assert torch.equal(run.predictable[row, :length], batch.predictable[row, rest])
            if (run.predictable[row] | (run.tokens[row] == task.vocabulary.pad)).all():
                assert torch.equal(run.tokens[row, :length], batch.input_ids[row, rest])
