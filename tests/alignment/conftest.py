import pytest
import torch

from numsym.alignment.engines.pyvene import PyveneEngine
from numsym.alignment.functions import build
from numsym.alignment.search import correct, search
from numsym.alignment.settings import SearchSettings
from numsym.models import RecurrentConfig, RecurrentLM
from numsym.tasks import MultiObject
from numsym.training import train

SMALL = {"counts": range(1, 7), "held_out": (3,)}


@pytest.fixture(scope="session")
def small_task():
    return MultiObject(**SMALL)


@pytest.fixture(scope="session")
def counter(small_task):
    """A trained GRU that counts to six."""
    torch.manual_seed(0)
    model = RecurrentLM(RecurrentConfig(vocab_size=small_task.vocab_size, hidden_size=16))
    assert train(model, small_task, steps=2000, check_every=50, learning_rate=5e-3).reached
    return model


class Routes:
    """A fast engine against the pyvene route: same parameters, same pairs, same losses, gradients and searches.

    Args:
        kind: the fast engine.
        site: where.
        make: a new model, the same each time.
        draw: pairs that exchange `variables`, `n` of them, by a `seed`.
        settings: of a short search.
        sizes: pairs to search with, and to validate on.
    """

    jobs = (
        ("orthogonal", 4, ("count",), 1),
        ("linear", 4, ("count",), 1),
        ("linear", 7, ("full",), 2),
        ("low_rank", 3, ("phase",), 3),
    )

    def __init__(self, kind, site, make, draw, settings, sizes):
        self.kind, self.site, self.make, self.draw = kind, site, make, draw
        # At a rate that does not blow up the rounding in which the routes differ.
        self.settings, self.sizes = SearchSettings(**{"learning_rate": 0.01} | settings), sizes

    @staticmethod
    def measured(engine, pairs, rows):
        """Loss, which pairs are right, and all gradients in one vector."""
        loss, right = engine.measure([engine.prepare(pairs)], [rows], [0])
        for parameter in engine.parameters():
            parameter.grad = None
        loss.sum().backward()
        gradients = [parameter.grad.flatten() for parameter in engine.parameters() if parameter.grad is not None]
        return loss.detach(), right[0], torch.cat(gradients)

    def check_equal(self, model, site, interventions, pairs, rows, **options):
        loss, right, gradient = self.measured(PyveneEngine(model, site, interventions), pairs, rows)
        fast = self.measured(self.kind(model, site, interventions, **options), pairs, rows)
        torch.testing.assert_close(fast[0], loss, atol=1e-5, rtol=1e-5)
        assert torch.equal(fast[1], right)
        torch.testing.assert_close(fast[2], gradient, atol=1e-4 * gradient.abs().max().item(), rtol=1e-4)
        assert gradient.abs().max() > 1e-5

    def searched(self, kind, picked):
        """A search for several alignments at once: how each went, what it gets right, and what it found."""
        model, (n, unseen) = self.make(), self.sizes
        width = model.config.hidden_size
        interventions = [build(function, width, k, len(names), seed) for function, k, names, seed in picked]
        engine = kind(model, self.site, interventions)
        train = [self.draw(names, n, seed) for _, _, names, seed in picked]
        valid = [self.draw(names, unseen, seed + 100) for _, _, names, seed in picked]
        runs = search(engine, train, valid, [seed for *_, seed in picked], self.settings)
        right = [correct(engine, i, engine.prepare(v), unseen) for i, v in enumerate(valid)]
        return runs, right, interventions

    @staticmethod
    def check_alike(ours, own):
        """What they do, not their parameters: Adam turns the rounding of a vanishing gradient into a step."""
        base, source = torch.randn(2, 5, int(ours.embed_dim))
        torch.testing.assert_close(ours(base.clone(), source), own(base.clone(), source), atol=3e-3, rtol=0)

    def check_stacked(self):
        """Alignments searched for together end as each does alone."""
        stacked = self.searched(self.kind, self.jobs)
        for i, job in enumerate(self.jobs):
            alone = self.searched(self.kind, [job])
            for ours, own in zip(stacked[0][i].records, alone[0][0].records, strict=True):
                assert ours["loss"] == pytest.approx(own["loss"], rel=1e-4)
                assert ours["iia"] == own["iia"]
            assert torch.equal(stacked[1][i], alone[1][0])
            self.check_alike(stacked[2][i], alone[2][0])

    def check_searches(self):
        """Both routes search to the same alignments."""
        fast, slow = (self.searched(kind, self.jobs[:2]) for kind in (self.kind, PyveneEngine))
        for ours, reference in zip(fast[0], slow[0], strict=True):
            assert [r["loss"] for r in ours.records] == pytest.approx([r["loss"] for r in reference.records], rel=1e-3)
        for found in zip(fast[2], slow[2], strict=True):
            self.check_alike(*found)


@pytest.fixture(scope="session")
def routes():
    return Routes
