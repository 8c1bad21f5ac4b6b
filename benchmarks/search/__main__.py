"""The search against [N]'s: how high it ends, how soon it is where [N]'s ends, how far its starts end apart.

    python -m benchmarks.search choose      settings, on networks of seed 0
    python -m benchmarks.search wrong       how much of a batch may be pairs that were wrong, on networks of seed 0
    python -m benchmarks.search descent     the rise of the rate, Adam's memory and the mean of parameters, on networks
                                            of seed 0; some of them by their numbers: descent 4
    python -m benchmarks.search wide        a LAF of width 128 at a narrow site's rate, at its own and at 5e-3
    python -m benchmarks.search rates       rotation and LAF of widths 128 and 64 at a narrow site's rate, and at
                                            the default, which falls with the width; of one network: rates 3
    python -m benchmarks.search             the default against [N]'s, on networks of seeds 1 and 2; some by their
                                            numbers: judge 7 8
    python -m benchmarks.search table       the default on six rows, against the best that was seen there before;
                                            some of them by their numbers: table 4 5 6
    python -m benchmarks.search conditional the conditional function at widths 20 and 128, seeds 0 to 2, Same-Object;
                                            one of them with its width, k and seed: conditional 128 16 0
    python -m benchmarks.search across      between each two of three networks, from a random start and a fitted one;
                                            some by their numbers: across 2
    python -m benchmarks.search verdicts    what `compare` says of three networks with its weight of the latent loss,
                                            and without; of one of them: verdicts 2
    python -m benchmarks.search latent      what the counterfactual latent loss does, on networks of seed 1; one task:
                                            latent 2

One thread; seconds are of the CPU, so that other work on the machine changes them less. [N]'s search stops after 6,000
steps.

How settings are chosen: the highest mean of the functions' IIA over both tasks; of settings within half a point of it
the one that takes the least time; of ways to descend, which take as long, the one whose course is the highest. How the
default is judged, on other seeds than it was chosen on: it reaches the validation IIA where [N]'s search ends in at
most a tenth of that search's seconds (median of the cells), starts included; no cell ends lower than [N]'s by more than
the intervals of both; and in nine of ten cells the ends of a second search, from the three best starts of different
kinds, lie within 3 points.
"""

import sys

import torch

from benchmarks.search.further import across, latent, verdicts
from benchmarks.search.judged import conditional, judge, table
from benchmarks.search.settings import choose, descent, rates, wide, wrong

PARTED = {"table": table, "across": across, "verdicts": verdicts, "latent": latent, "rates": rates, "descent": descent,
          "judge": judge}  # fmt: skip
"""Those whose rows can be run one by one."""

WHOLE = {"choose": choose, "wrong": wrong, "wide": wide, "conditional": conditional, **PARTED}

if __name__ == "__main__":
    torch.set_num_threads(1)
    part, *numbers = sys.argv[1:] or [""]
    if part == "conditional" and numbers:  # one network: width, k, seed
        conditional([(int(numbers[0]), int(numbers[1]), int(numbers[2]))])
    elif part in PARTED and numbers:
        PARTED[part]([int(number) for number in numbers])
    else:
        WHOLE.get(part, judge)()
