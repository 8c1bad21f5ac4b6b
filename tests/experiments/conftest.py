"""Configurations as the command line composes them."""

import pytest


@pytest.fixture
def composed(monkeypatch):
    """From overrides, as given after `numsym`, to the plain configuration that `run` gets."""
    from hydra import compose, initialize_config_dir

    from numsym import recipes
    from numsym.lab import command as cli

    monkeypatch.setenv("NUMSYM_RECIPES", str(recipes.root()))
    monkeypatch.setenv("WANDB_MODE", "disabled")

    def build(*overrides):
        with initialize_config_dir(str(cli.CONFIGS), version_base="1.3"):
            return recipes.plain(compose("config", overrides=["folder=unused", *overrides]))

    return build
