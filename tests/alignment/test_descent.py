import torch
from torch import nn

from numsym.alignment.descent import Averages, Descent
from numsym.alignment.settings import SearchSettings


def stepped(share, values):
    parameter = nn.Parameter(torch.tensor([values[0]]))
    averages = Averages([parameter], share)
    for value in values[1:]:
        with torch.no_grad():
            parameter.fill_(value)
        averages.update()
    return parameter, averages


def test_the_mean_of_the_first_steps_is_plain_and_later_ones_forget():
    parameter, averages = stepped(0.75, [4.0, 0.0, 2.0])
    with averages.in_place():
        assert parameter.item() == 2.0  # (4 + 0 + 2) / 3
    assert parameter.item() == 2.0
    parameter, averages = stepped(0.75, [0.0] * 4 + [8.0])
    with averages.in_place():
        assert parameter.item() == 2.0  # a quarter of the last
    assert parameter.item() == 8.0


def test_an_optimiser_goes_on_from_its_own_parameters_after_a_look_at_the_mean():
    parameter, averages = stepped(0.5, [1.0, 3.0])
    optimiser = torch.optim.SGD([parameter], lr=1.0)
    with averages.in_place():
        assert parameter.item() == 2.0
    parameter.sum().backward()
    optimiser.step()
    assert parameter.item() == 2.0  # 3 - 1


def test_without_a_share_it_is_the_parameter_itself():
    parameter, averages = stepped(0.0, [1.0, 5.0])
    with averages.in_place():
        assert parameter.item() == 5.0


def test_a_step_is_adams_at_the_rate_of_its_number():
    settings = SearchSettings(schedule="constant", learning_rate=0.3, warm_up=2, beta2=0.5, average=0.9)
    mine, other = (nn.Parameter(torch.tensor([1.0, -2.0])) for _ in range(2))
    descent, adam = Descent([mine], settings), torch.optim.Adam([other], lr=1.0, betas=(0.9, 0.5))
    for number, rate in enumerate((0.1, 0.2, 0.3, 0.3), 1):
        adam.param_groups[0]["lr"] = rate
        adam.zero_grad()
        other.square().sum().backward()
        adam.step()
        descent.step(number, mine.square().sum())
    torch.testing.assert_close(mine, other)
    assert descent.averages.steps == 4
