import torch

from numsym.interventions import FourierSubspaceIntervention
from numsym.models.adders import build_adder
from numsym.results import Share
from numsym.studies.adder_bench import Bench, costs_nothing
from numsym.studies.routes import task_of
from numsym.training import train_adder


def test_the_states_are_those_that_the_intervention_sees(bench):
    """Rotating by 0 and by a whole period changes no answer."""
    rotate = FourierSubspaceIntervention(period=12, operation="rotate").fit(bench.states(), torch.arange(12))
    assert torch.equal(bench.answers(rotate, [0] * 200), bench.plain)
    assert torch.equal(bench.answers(rotate, [12] * 200), bench.plain)
    expected = bench.inputs.clone()
    expected[:, 0] = (expected[:, 0] + 5) % 12
    with torch.no_grad():
        other = bench.model(input_ids=expected).logits[:, -1].argmax(-1)
    assert torch.equal(bench.answers(rotate, [5] * 200), other)


def test_a_hook_of_the_user_stays_and_runs(bench):
    seen = []
    handle = bench.model.transformer.h[0].register_forward_hook(lambda *_: seen.append(1))
    try:
        bench.moved(bench.fitted(bench.states()))
        assert len(seen) == 2
        bench.answers(None)
        assert len(seen) == 3
    finally:
        handle.remove()


def test_numbers_in_several_tokens_are_changed_at_the_last_one_of_a():
    for cut in ("left", "right", "left_padded", "right_padded"):
        task = task_of(cut, 100, 5)
        bench = Bench(build_adder("transformer", task, width=8), task, period=5, trials=200, split="held_out")
        text = [task.text(row) for row in bench.inputs]
        assert {row.split(" ")[bench.position + 1] for row in text} == {"+"}
        sums = torch.tensor([sum(int("".join(n.split())) for n in row.split(" = ")[0].split("+")) for row in text])
        ends = (bench.values(bench.truth) - sums) % 10 == 0
        assert torch.equal(bench.counted, ends)
        assert bench.counted.all() == (cut != "left_padded")
        assert bench.counted.sum() > 50
        assert bench.states().shape == (100, 8)


def test_a_bench_of_several_tokens_counts_whole_answers():
    task = task_of("left", 10, 5)
    model = build_adder("transformer", task, width=16, spread=0.25)
    train_adder(model, task, {"steps": 60, "checks": 1, "learning_rate": 1e-2})
    bench = Bench(model, task, period=5, trials=300)
    with torch.no_grad():
        found = model(input_ids=bench.inputs).logits.argmax(-1)
    whole = []
    for row, said in zip(bench.inputs, found, strict=True):
        text = task.text(row).split(" = ")
        a, b = (int("".join(part.split())) for part in text[0].removeprefix("B ").split("+"))
        start = task.text(row).split(" ").index("=")
        digits = [str(int(token)) for token in said[start : start + len(str(a + b))]]
        ended = task.vocabulary.tokens[int(said[start + len(str(a + b))])] == "E"
        whole.append("".join(digits) == str(a + b) and ended)
    assert bench.right() == Share.of(torch.tensor(whole))


def test_what_is_taken_out_of_the_unembeddings_is_so_there_alone(bench):
    """Against untied unembeddings that lack a harmonic; the model is left as it is."""
    fitted = bench.fitted(bench.states())
    weight = bench.model.get_output_embeddings().weight.detach()
    assert bench.right_unwritten(fitted).value < 0.3  # of twelve numbers all but the mean is taken out
    assert bench.right().value > 0.95
    some = bench.fitted(bench.states(), harmonics=[1])
    states = []
    handle = bench.model.get_output_embeddings().register_forward_pre_hook(lambda _, given: states.append(given[0]))
    bench.tokens(None)
    handle.remove()
    axes = torch.linalg.qr(some.weight.mT)[0]
    lacking = weight.clone()
    lacking[:12] -= (weight[:12] - weight[:12].mean(0)) @ axes @ axes.mT
    right = ((states[0] @ lacking.mT).argmax(-1) == bench.truth) | ~bench.asked
    assert bench.right_unwritten(some) == Share.of(right.all(dim=1))


def test_a_difference_within_two_standard_errors_costs_nothing():
    assert costs_nothing(Share.of_counts(95, 100), Share.of_counts(93, 100))
    assert not costs_nothing(Share.of_counts(95, 100), Share.of_counts(60, 100))
