import pytest
import torch
import transformers as hf

from numsym.alignment.engines.pyvene import PyveneEngine
from numsym.alignment.engines.recurrent import RecurrentEngine
from numsym.alignment.engines.suffix import SuffixEngine
from numsym.alignment.functions import build
from numsym.alignment.pairs import interchange_pairs
from numsym.alignment.search import correct
from numsym.models import RecurrentConfig, RecurrentLM, counting_gru, load
from numsym.models.discover import layers_of
from numsym.models.site import Site
from numsym.programs import Program
from numsym.tasks import AdditionPrompts, MultiObject

TASK = MultiObject()


def draw(variables, n=200, program="up_down"):
    g = torch.Generator().manual_seed(0)
    return interchange_pairs(TASK, TASK.program(program), variables, n, generator=g)


def engine_of(model, k=4, width=8):
    return RecurrentEngine(model, Site(), [build("linear", width, k, 1, 0)])


def test_exchanging_everything_a_counting_network_does_what_the_program_says():
    pairs = draw(("full",))
    run = engine_of(counting_gru(TASK.vocabulary), k=8).free_running(0, pairs, TASK.program())
    assert run.right.all()
    assert run.off == 0
    assert torch.equal(run.said, run.wanted)


@pytest.mark.parametrize("program", ["up_down", "up_up"])
def test_whole_trials_are_right_exactly_when_they_are_teacher_forced(program, counter, small_task):
    g = torch.Generator().manual_seed(0)
    pairs = interchange_pairs(small_task, small_task.program(program), ("phase",), 300, generator=g)
    engine = engine_of(counter.requires_grad_(False), k=9, width=16)
    run = engine.free_running(0, pairs, small_task.program(program))
    forced = correct(engine, 0, engine.prepare(pairs), 300)
    assert torch.equal(run.right, forced)
    assert 0 < forced.float().mean() < 1
    assert run.off > 0
    assert (run.said[forced] == run.wanted[forced]).all()


def test_by_how_much_it_misses_is_counted_in_tokens():
    """With nothing exchanged, a base in the response phase answers its own count."""
    g = torch.Generator().manual_seed(0)
    pairs = interchange_pairs(TASK, TASK.program(), ("count",), 100, positions={"phase": 1}, generator=g)
    engine = engine_of(counting_gru(TASK.vocabulary))
    engine._groups[0].chosen.zero_()
    run = engine.free_running(0, pairs, TASK.program())
    assert torch.equal(run.said, pairs.base_value + 1)
    assert torch.equal(run.wanted, pairs.source_value + 1)


def test_a_network_that_never_ends_is_stopped_and_wrong():
    model = RecurrentLM(RecurrentConfig(vocab_size=9, hidden_size=8)).requires_grad_(False).eval()
    model.decoder[-1].bias[TASK.vocabulary.response] = 1e4
    run = engine_of(model).free_running(0, draw(("count",), 20), TASK.program())
    assert not run.right.any()
    assert (run.said > 100).all()


def test_an_engine_that_cannot_run_on_says_so():
    model = counting_gru(TASK.vocabulary)
    assert (
        PyveneEngine(model, Site(), [build("linear", 8, 4, 1, 0)]).free_running(0, draw(("count",), 5), TASK.program())
        is None
    )


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_in_a_deep_network_all_layers_go_on_from_the_exchange(layer):
    model = RecurrentLM(RecurrentConfig(cell="lstm", vocab_size=9, hidden_size=8, num_layers=3)).requires_grad_(False)
    pairs = draw(("count",), 50)
    engine = RecurrentEngine(model.eval(), Site("state", layer), [build("linear", 8, 4, 1, 0)])
    logits, _ = engine.exchanged(0, engine.prepare(pairs))
    from numsym._pyvene import locations, pv

    config = pv.IntervenableConfig([Site("state", layer).representation(engine.interventions[0])])
    call = ({"input_ids": pairs.base_ids}, [{"input_ids": pairs.source_ids}], locations(pairs.source_at, pairs.base_at))
    want = pv.IntervenableModel(config, model)(*call)[1].logits[torch.arange(50), pairs.base_at]
    torch.testing.assert_close(logits, want, atol=1e-5, rtol=0)


def prompts(tokenizer, n=60, positions=None, largest=14):
    """Sums asked as text; of numbers to 14 some answers are two tokens."""
    task = AdditionPrompts(tokenizer=tokenizer, largest=largest, shots=1, only_right=False)
    g = torch.Generator().manual_seed(0)
    pairs = interchange_pairs(task, task.program("prompt_sum"), ("sum",), n, positions=positions, generator=g)
    return task, pairs


def speaking(kind, task):
    """A decoder with weights at random that says tokens of answers alone."""
    torch.manual_seed(0)
    size = len(task.tokenizer)
    if kind == "gpt2":
        model = hf.GPT2LMHeadModel(
            hf.GPT2Config(
                vocab_size=size, n_embd=16, n_layer=3, n_head=2, n_positions=64, bos_token_id=0, eos_token_id=0
            )
        )
    else:
        shape = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 24}
        model = hf.LlamaForCausalLM(hf.LlamaConfig(vocab_size=size, **shape))
    known = sorted({*task.vocabulary.c.used(), task.vocabulary.end} - {None})
    head = torch.zeros(size, 16)
    head[known] = torch.randn(len(known), 16)
    model.config.tie_word_embeddings = False
    model.lm_head.weight = torch.nn.Parameter(head)
    for block in layers_of(model)[1]:  # so that what is said depends on what is held
        for parameter in block.parameters():
            parameter.data *= 15 if parameter.ndim > 1 else 1
    return load(model).eval().requires_grad_(False)


class Heard(Program):
    """A program that notes the tokens that it is given."""

    def __init__(self, program):
        self.program, self.tokens = program, []

    def start(self, plan):
        return self.program.start(plan)

    def emit(self, state, generator=None):
        return self.program.emit(state, generator)

    def update(self, state, token):
        self.tokens.append(token)
        return self.program.update(state, token)


def heard(engine, pairs, task):
    """What is said after the exchange, (batch, token), and what is made of it."""
    program = Heard(task.program("prompt_sum"))
    run = engine.free_running(0, pairs, program)
    return torch.stack(program.tokens, 1), run


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
@pytest.mark.parametrize(
    ("site", "positions"),
    [
        ("block_output:1", None),
        ("block_output:0", ["a"]),
        ("block_input:0", ["b"]),
        ("embeddings", ["b"]),
        ("mlp_output:2", ["last"]),
        ("block_output:0+attention_output:1", ["b", "a"]),
    ],
)
def test_a_language_model_says_by_itself_what_it_says_through_pyvene(tokenizer, kind, site, positions):
    task, pairs = prompts(tokenizer, positions=positions)
    model, place = speaking(kind, task), Site.of(site)
    made = [build("linear", place.check(model), 8, 1, 0)]
    assert SuffixEngine.supports(model, place, made)
    (tokens, run), (wanted, slow) = (
        heard(engine(model, place, made), pairs, task) for engine in (SuffixEngine, PyveneEngine)
    )
    assert torch.equal(tokens, wanted)
    assert len(tokens.unique()) > 3
    for name in ("right", "said", "wanted"):
        assert torch.equal(getattr(run, name), getattr(slow, name)), name


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_an_answer_is_right_by_itself_exactly_when_it_is_teacher_forced(tokenizer, kind):
    task, pairs = prompts(tokenizer, 400, positions=["b"], largest=8)
    model = speaking(kind, task)
    engine = SuffixEngine(model, Site("block_output", 1), [build("linear", 16, 8, 1, 0)])
    run = engine.free_running(0, pairs, task.program("prompt_sum"))
    assert torch.equal(run.right, correct(engine, 0, engine.prepare(pairs), len(pairs)))
    assert 0 < run.right.sum() < len(pairs)


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
@pytest.mark.parametrize("token", ["a", "last"])
def test_it_says_what_it_says_under_a_plain_hook(tokenizer, kind, token):
    task, pairs = prompts(tokenizer, 12, [token])
    model, one = speaking(kind, task), build("linear", 16, 8, 1, 0)
    tokens, _ = heard(SuffixEngine(model, Site("block_output", 1), [one]), pairs, task)
    block, held = layers_of(model)[1][1], {}

    def read(_module, _args, output):
        held["stream"] = output[0] if isinstance(output, tuple) else output

    def put(_module, _args, output):
        stream = output[0] if isinstance(output, tuple) else output
        stream[:, at] = one(stream[:, at], given)

    for row in range(len(pairs)):
        part = pairs.rows(torch.tensor([row]))
        handle = block.register_forward_hook(read)
        model(part.source_ids)
        handle.remove()
        given, at = held["stream"][:, part.source_places[0, 0]].clone(), int(part.base_places[0, 0])
        first = int(part.base_at[0]) + 1
        ids, said = part.base_ids[:, :first], []
        asked = int(task.landmarks(part.base_ids)["last"][0]) + 1
        handle = block.register_forward_hook(put)
        while first + len(said) < asked:  # the prompt goes on as it is
            said.append(int(part.base_ids[0, first + len(said)]))
        while len(said) < tokens.shape[1]:
            ids = torch.cat([part.base_ids[:, :first], torch.tensor([said], dtype=torch.long)], 1)
            said.append(int(model(ids).logits[0, -1].argmax()))
        handle.remove()
        # After the end of a row, what it is given is the program's padding.
        over = (tokens[row] == task.vocabulary.pad).nonzero()[:1, 0].tolist()
        end = over[0] if over else len(said)
        assert tokens[row, :end].tolist() == said[:end]


def test_what_is_said_ends_where_the_model_has_no_more_positions(tokenizer):
    task, pairs = prompts(tokenizer, 10)
    model = speaking("gpt2", task)

    class Endless(Heard):
        def update(self, state, token):
            return {**super().update(state, token), "ended": torch.zeros_like(token)}

    length = int(pairs.base_at.max()) + 1
    for kind in (SuffixEngine, PyveneEngine):
        program = Endless(task.program("prompt_sum"))
        run = kind(model, Site("block_output", 1), [build("linear", 16, 8, 1, 0)]).free_running(0, pairs, program)
        assert length + len(program.tokens) == 64 + 1
        assert not run.right.any()
