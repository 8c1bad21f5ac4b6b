import torch
from numsym.plots.style import write

from numsym.circuits.strength_value import KINDS, strength_value
from numsym.models import TransformerConfig, TransformerLM
from numsym.plots import strength_value as plots
from numsym.tasks import MultiObject


def test_there_is_a_panel_a_head_with_a_line_a_kind(tmp_path):
    task = MultiObject(counts=range(1, 5), void_prob=0.3)
    torch.manual_seed(0)
    model = TransformerLM(TransformerConfig(hidden_size=12, num_layers=2, num_heads=3)).eval()
    found = strength_value(model, task, task.sample(20, generator=torch.Generator().manual_seed(0)))
    figure = plots.strength_value(found, title="heads")
    panels = [axes for axes in figure.axes if axes.get_title()]
    assert [axes.get_title() for axes in panels] == [f"layer {i}, head {j}" for i in range(2) for j in range(3)]
    slope = found.strength()["response"][1, 2].item()
    line = panels[5].lines[KINDS.index("response")].get_xydata()
    assert abs(line[1, 1] - slope * line[1, 0]) < 1e-6
    assert write(figure, tmp_path / "figure.png").stat().st_size > 10_000
