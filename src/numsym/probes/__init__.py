"""Correlational measures of number representations: tensors in, a result out. What is causal is an intervention."""

from numsym.checked import border
from numsym.probes.corpus import ppmi_svd, word2vec
from numsym.probes.helix import HelixFit, helix
from numsym.probes.inputs import shuffled
from numsym.probes.perturbations import isolate_numbers, limit_context, swap_numbers, unigram_replace
from numsym.probes.residue import ResidueResult, residue
from numsym.probes.separability import Separability, separability, spikes_without_classes
from numsym.probes.sources import (
    number_embeddings,
    number_frequencies,
    number_tokens,
    number_words,
    prompt_states,
)
from numsym.probes.spectrum import Spectrum, period_power, spectrum

__all__ = [
    "HelixFit",
    "ResidueResult",
    "Separability",
    "Spectrum",
    "helix",
    "isolate_numbers",
    "limit_context",
    "number_embeddings",
    "number_frequencies",
    "number_tokens",
    "number_words",
    "period_power",
    "ppmi_svd",
    "prompt_states",
    "residue",
    "separability",
    "shuffled",
    "spectrum",
    "spikes_without_classes",
    "swap_numbers",
    "unigram_replace",
    "word2vec",
]

border(globals())
