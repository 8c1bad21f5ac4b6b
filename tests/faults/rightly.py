"""Calls of every public callable that are right: what `contract` then makes wrong, one argument at a time.

What a class of results is made of is read off a real result; the rest stands here, by parameter and by callable.
"""

import contextlib
import inspect
import io
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from small import configuration, run

SEARCH, PAIRS = {"max_steps": 2}, {"train": 50, "validation": 20, "test": 20}
TEXT = " ".join(f"page {n % 20} of {n % 20 + 1} costs {n % 20} euro ." for n in range(200))


class Rightly:
    """Arguments for every public callable.

    Args:
        folder: one that is there, for what has to be read.
    """

    def __init__(self, folder: str):
        import numsym

        self.folder = folder
        self.task = numsym.tasks.MultiObject(counts=range(1, 4))
        self.model = numsym.models.counting_gru(self.task.vocabulary)
        self.program = self.task.program("up_down")
        self.pairs = numsym.alignment.interchange_pairs(self.task, self.program, [numsym.programs.FULL], 20)
        self.own = numsym.alignment.unexchanged(self.task, self.program, self.pairs)
        self.found = numsym.align(self.model, self.task, search=SEARCH, pairs=PAIRS, controls=False)
        self.adder = numsym.models.ModularTransformer(
            numsym.models.ModularTransformerConfig(p=5, hidden_size=8, num_attention_heads=2)
        )
        self.circle = numsym.circuits.find_circles(self.adder, min_share=0.0)[0]
        self.tokenizer = tokenizer()
        for study in ("align", "modular_adder"):
            with contextlib.redirect_stdout(io.StringIO()):
                run(configuration(study), Path(folder) / "runs" / study)
        self.usual, self.by_name, self.read = self._usual(), self._by_name(), {}
        for one in self._results():
            self._read_off(one)

    def arguments(self, name: str, function: Any, taken: Iterable[str]) -> dict[str, Any]:
        """Those that it has to be given, and those without which it would do much."""
        last = name.rpartition(".")[2]
        own = self.by_name.get(last, {}) | self.read.get(function, {})
        needed = [one for one in taken if one in own or (one in self.usual and _needed(function, one))]
        return {one: own.get(one, self.usual.get(one)) for one in needed}

    def _usual(self) -> dict[str, Any]:
        """By the name of the parameter."""
        import numsym
        from numsym.run import Rehearsal

        hypothesis, batch = numsym.alignment.Hypothesis("up_down", "count"), self.task.sample(4)
        return {
            "model": self.model, "untrained": self.model, "models": {"gru": self.model}, "task": self.task,
            "make": numsym.models.build, "vocabulary": self.task.vocabulary, "run": Rehearsal(), "given": None,
            "path": f"{self.folder}/model", "runs": [f"{self.folder}/runs"], "folder": self.folder, "name": "Z5",
            "pairs": self.pairs, "own": self.own, "search": SEARCH, "n": 20, "steps": 20, "seed": 1, "text": TEXT,
            "embeddings": torch.randn(60, 4, generator=torch.Generator().manual_seed(0)), "program": self.program,
            "systems": {"random": torch.randn(60, 4)}, "logits": torch.randn(5, 5, 5), "p": 5, "period": 5, "T": 2,
            "embed_dim": 8, "low_rank_dimension": 2, "vocab_size": 9, "width": 8, "count": 40, "numbers": None,
            "sites": ["state"], "names": ["state"], "site": numsym.alignment.Site(), "batch": batch, "config": None,
            "recipe": {"name": "parity"}, "state": self.program.start(batch.plan), "states": batch.states,
            "result": self.found, "variables": ["count"], "hypothesis": hypothesis, "hypotheses": [hypothesis],
            "tokenizer": self.tokenizer, "circle": self.circle, "circles": [self.circle], "shift": 1, "keep": 1,
            "tokens": torch.arange(40).reshape(4, 10) % 12, "number_ids": torch.arange(3, 9), "fill": 0, "length": 4,
            "sentences": [sentence.split() for sentence in TEXT.split(".")] * 6, "settings": {"lr": 0.1},
            "position": torch.zeros(4, dtype=torch.long),
        }  # fmt: skip

    def _by_name(self) -> dict[str, dict[str, Any]]:
        """Where a name has another meaning, or the usual value is not one of this callable's."""
        made: dict[str, dict[str, Any]] = {one: {"model": self.adder} for one in MODULAR}
        made |= {one: {"embed_dim": 8} for one in INTERVENTIONS}
        for one in ("LowRankLinearAlignmentIntervention", "ConditionalAlignmentIntervention", "DictionaryIntervention"):
            made[one] = {"embed_dim": 8, "low_rank_dimension": 2}
        for task in every_task(self.tokenizer):
            programs = [task.program(name) for name in task.programs]
            made |= {type(one).__name__: {"vocabulary": one.vocabulary} for one in programs}
        return made | self._alignments() | self._models() | self._numbers()

    def _alignments(self) -> dict[str, dict[str, Any]]:
        import numsym
        from numsym.alignment.engines.cross import Side

        few: dict[str, Any] = {"search": SEARCH, "pairs": PAIRS, "controls": False, "alignment": "orthogonal"}
        rotated = numsym.align(llama(self.task.vocab_size), self.task, site="block_output:0", **few)
        named = {"task": "arithmetic", "variables": {"count": "ones_carry"}, "token": "last"}
        rotated.to_mib(f"{self.folder}/mib", **named)
        sites, batch, told = [numsym.alignment.Site()], self.task.sample(2), {"task": "arithmetic", "variable": "count"}
        return {
            "following": {"sites": sites}, "dependence": {"sites": sites}, "load_config": {"recipe": "laf"},
            "engine_for": {"interventions": [self.found.intervention], "name": "auto"},
            "told_apart": {"first": self.pairs, "second": self.pairs}, "explain": {"measured": 50, "tries": False},
            "to_mib": {"results": [rotated], "folder": f"{self.folder}/again", **named},
            "from_mib": {"folder": f"{self.folder}/mib"}, "replication": {"runs": [f"{self.folder}/runs"]},
            "MibAlignment": {
                **told, "model_class": "LlamaForCausalLM", "token": "last", "intervention": rotated.intervention
            },
            "Difference": {"value": 0.1, "low": 0.0, "high": 0.2, "only_first": 3, "only_second": 1, "p": 0.5, "n": 20},
            "exchange": {"base": batch.states, "source": batch.states, "variables": ["count"]},
            "cross_model": {"sides": [Side(one, self.model, self.task) for one in ("a", "b")]},
            "width": {"make": partial(numsym.models.build, self.task.vocab_size), "widths": [8], "dimensions": [2]},
            "Group": {"elements": ("0", "1"), "table": torch.tensor([[0, 1], [1, 0]])},
            "Numbers": {"ids": ((3,), (4,))}, "Vocabulary": {"tokens": ("a", "b")},
            "Unrolled": {"tokens": batch.input_ids, "predictable": None},
        }  # fmt: skip

    def _models(self) -> dict[str, dict[str, Any]]:
        import numsym

        models, modular, batch = numsym.models, numsym.tasks.ModularAddition(p=5), self.task.sample(2)
        transformer = models.counting_transformer(self.task.vocabulary)
        self.model.save_pretrained(f"{self.folder}/model")
        return {
            "ModularTransformer": {"config": self.adder.config}, "RecurrentLM": {"config": self.model.config},
            "LinearModularModel": {"config": models.LinearModularConfig(p=5)},
            "TransformerLM": {"config": transformer.config}, "activations": {"site": "state"},
            "Component": {"path": "layers[0]", "width": "hidden_size"},
            "logit_fve": {"circle": self.circle, "logits": torch.randn(5, 5, 5)},
            "strength_value": {
                "model": transformer, "input_ids": batch.input_ids, "predicting": batch.predictable,
                "kind": torch.zeros_like(batch.input_ids), "kinds": ["any"], "token": 1,
            },
            "train_modular": {"model": self.adder, "task": modular, "settings": {"epochs": 2}},
            "modular_adder": {"task": modular}, "modular_causal": {"model": self.adder, "subspace_dim": 2},
            "AttentionToFirst": {"layer": 0, "alpha": 1.0, "weights": torch.rand(2, 5, 5)},
            "CorrectLogits": {"matrix": torch.rand(5, 5)},
            "Adder": {"embed_a": torch.randn(5, 8), "embed_b": torch.randn(5, 8), "logits": lambda a, b: a @ b.mT},
        }  # fmt: skip

    def _numbers(self) -> dict[str, dict[str, Any]]:
        import numsym

        corpus, decoder = numsym.tasks.labelled_corpus(numbers=20, sentences=60), gpt2(len(self.tokenizer))
        numbers, text = tuple(range(20)), Path(self.folder) / "text.txt"
        text.write_text(TEXT)
        return {
            "helix": {"periods": [2, 5]}, "residue": {"periods": [2, 3], "folds": 3},
            "from_text": {"text": str(text), "folds": 3, "max_period": 3}, "number_tokens": {"numbers": numbers},
            "number_embeddings": {"model": decoder, "numbers": numbers},
            "prompt_states": {"model": decoder, "numbers": numbers},
            "number_frequencies": {"tokens": TEXT.split(), "numbers": numbers},
            "ppmi_svd": {"numbers": numbers, "width": 4}, "word2vec": {"numbers": numbers, "width": 4, "epochs": 1},
            "train_on_corpus": {
                "corpus": corpus, "settings": {"steps": 2, "batch_size": 8, "checks": 1},
                "model": numsym.models.build(len(corpus.tokens), hidden_size=8),
            },
            "Corpus": {"rows": corpus.rows, "tokens": corpus.tokens, "count": corpus.count, "pad": corpus.pad},
        }  # fmt: skip

    def _results(self) -> list[Any]:
        """Real ones: of them, and of what they hold, classes are read off."""
        import numsym

        circuits, embeddings = numsym.circuits, self.usual["embeddings"]
        vocabularies = [task.vocabulary for task in every_task(self.tokenizer)]
        return [
            self.found, self.found.explain(measured=50, tries=False), self.pairs, self.task.sample(3),
            circuits.circuit_report(self.adder), circuits.fit_circles(self.adder, circles=[self.circle]),
            circuits.rotation_table(self.adder), circuits.embedded_circles(self.adder),
            circuits.strength_value(**self.by_name["strength_value"]),
            numsym.alignment.following(self.model, [numsym.alignment.Site()], self.pairs, self.own),
            numsym.alignment.dependence(self.model, self.pairs, self.own), numsym.probes.spectrum(embeddings),
            numsym.probes.helix(embeddings, [2, 5]), numsym.probes.residue(embeddings, [2, 3], 3),
            numsym.probes.separability(embeddings, 2), numsym.training.evaluate(self.model, self.task), *vocabularies,
        ]  # fmt: skip

    def _read_off(self, value: Any) -> None:
        if is_dataclass(value) and not isinstance(value, type):
            taken = {one.name: getattr(value, one.name) for one in fields(value) if one.init}
            if type(value) in self.read:
                return
            self.read[type(value)] = taken
            value = taken
        if isinstance(value, dict | list | tuple):
            for one in value.values() if isinstance(value, dict) else value:
                self._read_off(one)


MODULAR = (
    "attention_to_first", "circuit_metrics", "circuit_report", "circularity", "correct_logits", "distance_irrelevance",
    "embedded_circles", "find_circles", "fit_circles", "gradient_symmetricity", "rotation_table", "isolate", "remove",
    "shift_circles", "turn", "as_adder", "clock_pizza",
)  # fmt: skip
INTERVENTIONS = (
    "AlignmentIntervention", "ConditionalAlignmentIntervention", "LinearAlignmentIntervention",
    "BoundlessLinearAlignmentIntervention", "FourierSubspaceIntervention", "NeuronMaskIntervention",
)  # fmt: skip


def tokenizer() -> Any:
    """Of whole words: numbers, and what stands about them in prompts."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    whole = [*map(str, range(60)), "Count", "apple", "dog", "car", "book", "+", "="]
    words = ["<unk>", "<pad>", *whole, *(f" {one}" for one in whole), *" \n,:"]
    coded = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    coded.pre_tokenizer = pre_tokenizers.Split(Regex(r" ?(?:\d+|[a-zA-Z]+|[+=])|[\s\S]"), "isolated")
    return PreTrainedTokenizerFast(tokenizer_object=coded, unk_token="<unk>", pad_token="<pad>")


def gpt2(vocab_size: int) -> Any:
    """A small one."""
    from transformers import GPT2Config, GPT2LMHeadModel

    return GPT2LMHeadModel(GPT2Config(vocab_size=vocab_size, n_embd=8, n_layer=1, n_head=2, n_positions=64)).eval()


def llama(vocab_size: int) -> Any:
    """A small one, which MIB knows."""
    from transformers import LlamaConfig, LlamaForCausalLM

    shape = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    return LlamaForCausalLM(LlamaConfig(vocab_size=vocab_size, **shape)).eval()


def every_task(words: Any) -> list[Any]:
    """One of each kind."""
    import numsym

    kinds = numsym.tasks.TASKS
    return [kinds[one](**({"tokenizer": words} if one.endswith("_prompts") else {})) for one in kinds]


def _needed(function: Any, name: str) -> bool:
    return name in ("run", "search", "seed") or inspect.signature(function).parameters[name].default is inspect._empty
