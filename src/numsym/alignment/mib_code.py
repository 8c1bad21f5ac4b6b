"""The two files of code that may go with a submission to MIB: they run among the track's scripts, not here."""

OBLIQUE = ("ObliqueFeaturizerModule", "ObliqueInverseFeaturizerModule")

FEATURIZER = '''"""Linear maps, orthogonal or not: f = x U, error = x - f R with R U = I, and back f R + error."""

import torch
from CausalAbstraction.neural.featurizers import Featurizer


class ObliqueFeaturizerModule(torch.nn.Module):
    """x to its k features x U, and what they leave."""

    def __init__(self, columns, rows):
        super().__init__()
        self.register_buffer("columns", columns)
        self.register_buffer("rows", rows)

    def forward(self, x):
        f = x.to(self.columns.dtype) @ self.columns
        return f, x - (f @ self.rows).to(x.dtype)


class ObliqueInverseFeaturizerModule(torch.nn.Module):
    """Features and what they left to x."""

    def __init__(self, columns, rows):
        super().__init__()
        self.register_buffer("columns", columns)
        self.register_buffer("rows", rows)

    def forward(self, f, error):
        return (f.to(self.rows.dtype) @ self.rows).to(f.dtype) + error.to(f.dtype)


class ObliqueFeaturizer(Featurizer):
    """Both, from the files that lie beside."""

    @classmethod
    def load_modules(cls, path):
        read = torch.load(f"{path}_featurizer", map_location="cpu", weights_only=True)
        maps = read["state_dict"]["columns"], read["state_dict"]["rows"]
        return cls(
            ObliqueFeaturizerModule(*maps),
            ObliqueInverseFeaturizerModule(*maps),
            n_features=read["model_info"]["n_features"],
            id="oblique",
        )
'''

_MODULES = {
    "arithmetic": "tasks.two_digit_addition_task.arithmetic",
    "4_answer_MCQA": "tasks.simple_MCQA.simple_MCQA",
    "ARC_easy": "tasks.ARC.ARC",
    "ravel_task": "tasks.RAVEL.ravel",
}

_TOKEN_POSITION = '''"""The token at which this submission reads and writes: one of the task's own."""

from CausalAbstraction.neural.LM_units import TokenPosition
from MODULE import get_token_positions as of_the_task


def get_token_positions(pipeline, causal_model):
    """The one position of this submission."""
    own = {{one.id: one for one in of_the_task(pipeline, causal_model)}}["{token}"]
    return [TokenPosition(own.index, pipeline, id="{token}")]
'''

TOKEN_POSITION = {task: _TOKEN_POSITION.replace("MODULE", module) for task, module in _MODULES.items()}
"""By the track's name of the task; `{token}` is to be filled in."""
