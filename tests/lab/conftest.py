"""Configurations as the command composes them."""

import pytest

SMALL = [
    "folder=unused", "tasks.arguments.counts=[1,4]", "tasks.arguments.held_out=[3]", "tasks.model.hidden_size=10",
    "tasks.training.steps=30", "tasks.training.batch_size=32", "tasks.training.learning_rate=0.01", "device=cpu",
    "pairs.train=100", "pairs.validation=40", "pairs.test=40", "search.max_steps=2",
]  # fmt: skip


@pytest.fixture
def composed():
    """From overrides, as given after `numsym`, to the plain configuration of a small run."""
    from hydra import compose, initialize_config_dir

    from numsym import recipes
    from numsym_command.configs import CONFIGS, store

    def build(*overrides):
        store()
        with initialize_config_dir(str(CONFIGS), version_base="1.3"):
            # Another recipe has other trials.
            small = SMALL if not any(one.startswith("tasks=") for one in overrides) else SMALL[:1] + SMALL[7:]
            return recipes.plain(compose("config", overrides=[*small, *overrides]))

    return build
