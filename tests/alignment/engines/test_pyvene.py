import torch

from numsym._pyvene import pv
from numsym.alignment.engines.pyvene import PyveneEngine, score, unintervened
from numsym.alignment.functions import build
from numsym.alignment.pairs import interchange_pairs
from numsym.models import RecurrentConfig, RecurrentLM, counting_gru
from numsym.models.site import Site
from numsym.tasks import MultiObject

TASK = MultiObject()


def draw(n=50):
    return interchange_pairs(TASK, TASK.program(), ("full",), n, generator=torch.Generator().manual_seed(0))


def test_a_pair_is_right_only_when_every_scored_token_is():
    pairs = draw(20)
    keep = pairs.scored[:, 1:]
    targets = pairs.base_ids[:, 1:][keep]
    logits = torch.nn.functional.one_hot(targets, 9).float() * 20
    loss, right = score(logits, pairs)
    assert right.all()
    assert loss < 1e-6
    owner = torch.arange(20)[:, None].expand_as(keep)[keep]
    last = int((owner == 3).nonzero()[-1])
    logits[last] = logits[last].roll(1)
    assert score(logits, pairs)[1].nonzero()[:, 0].tolist() == [i for i in range(20) if i != 3]


def test_exchanging_everything_follows_the_source_and_nothing_does_not():
    model, pairs = counting_gru(TASK.vocabulary), draw()
    engine = PyveneEngine(model, Site(), [pv.VanillaIntervention(embed_dim=8)])
    _, right = engine.measure([engine.prepare(pairs)], [torch.arange(50)], [0])
    assert right[0].all()
    assert unintervened(model, pairs).float().mean() < 0.3


def test_a_state_at_several_positions_is_that_of_the_last():
    model = counting_gru(TASK.vocabulary)
    engine = PyveneEngine(model, Site(), [pv.VanillaIntervention(embed_dim=8)])

    def measured(positions):
        generator = torch.Generator().manual_seed(0)
        pairs = interchange_pairs(TASK, TASK.program(), ("full",), 40, positions=positions, generator=generator)
        return pairs, *engine.measure([engine.prepare(pairs)], [torch.arange(40)], [0])

    (pairs, loss, right), (_, other, also) = measured([1, 2, 3]), measured([3])
    assert pairs.base_places.tolist() == [[1, 2, 3]] * 40
    torch.testing.assert_close(loss, other)
    assert right[0].all()
    assert also[0].all()


def test_snapshots_go_back():
    model = RecurrentLM(RecurrentConfig(vocab_size=9, hidden_size=8)).eval()
    laf = build("linear", 8, 3, 1, 0)
    engine = PyveneEngine(model, Site(), [laf])
    before, kept = laf.matrix.detach().clone(), engine.snapshot(0)
    with torch.no_grad():
        laf.matrix.add_(1)
    engine.restore(0, kept)
    assert torch.equal(laf.matrix, before)
