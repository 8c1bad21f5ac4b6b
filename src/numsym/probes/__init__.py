"""Correlational measures of number representations: tensors in, a result out. What is causal is an intervention."""

from numsym.probes.helix import HelixFit, helix
from numsym.probes.inputs import shuffled
from numsym.probes.residue import ResidueResult, residue
from numsym.probes.separability import Separability, separability
from numsym.probes.spectrum import Spectrum, period_power, spectrum

__all__ = [
    "HelixFit",
    "ResidueResult",
    "Separability",
    "Spectrum",
    "helix",
    "period_power",
    "residue",
    "separability",
    "shuffled",
    "spectrum",
]
