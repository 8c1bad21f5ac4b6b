"""What the command gives a study: what each of its arguments is, by name, from a composed configuration."""

import inspect
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, get_type_hints

import torch
from torch import nn

from numsym import recipes
from numsym.alignment import Hypothesis, PairCounts, SearchSettings, Site
from numsym.alignment.engines.cross import Side
from numsym.checked.places import check_device
from numsym.errors import InvalidArgumentError, NumsymError, check_name
from numsym.lab.asked import function_of, positions_of, settings
from numsym.models import build, read_model
from numsym.results import plain, rebuilt
from numsym.run import NoRun
from numsym.tasks import Task, load_task
from numsym.training import check_settings, evaluate, train

EVALUATED = 400
"""Trials over which the accuracy of a model is measured that was not trained here."""
KNOWS = 0.5
"""Trial accuracy below which it is said not to do the task."""

STANDARD = ("site", "positions", "pairs", "controls", "engine", "seed")

TRAINING = set(inspect.signature(train).parameters) - {"model", "task", "seed", "run", "on_check", "keep_at", "on_keep"}
"""What the `training` of a task recipe may say."""


class Given:
    """The arguments of a study, from a configuration.

    Args:
        config: composed and resolved.
        run: where models are trained and kept; in a rehearsal nothing is trained.
        rehearsal: whether models are given as they start.
    """

    def __init__(self, config: Mapping[str, Any], run: NoRun, *, rehearsal: bool = False):
        settings(**config)
        self.config, self.run, self.rehearsal, self.asks_task = config, run, rehearsal, False
        self._usual: Mapping[str, inspect.Parameter] = {}
        self._own_networks: Any = None

    def arguments(self, study: Callable[..., Any]) -> dict[str, Any]:
        """Everything that the study takes, but its `run`."""
        hints, own = get_type_hints(study), self.config["experiment"]
        self._usual = inspect.signature(study).parameters
        told = self._usual["networks"].default if "networks" in self._usual else None
        self._own_networks = told or getattr(study, "presets", {}).get("networks")
        where = self.config.get("positions")
        if where is not None and "positions" not in self._usual:
            raise InvalidArgumentError(f"positions={where!r} is not allowed with experiment={own['name']}: it has none")
        self.asks_task = "task" in hints
        made: dict[str, Any] = {}
        for name in self._usual:
            if name == "run":
                continue
            if name == "networks" and not isinstance(own[name], Mapping):
                made[name] = self._networks()
            elif name in own:
                made[name] = _rebuilt(hints[name], own[name])
            elif name in STANDARD and name in self.config:
                made[name] = self._standard(name, self.config[name])
            elif hasattr(type(self), name):
                made[name] = getattr(self, name)
        return made

    def _standard(self, name: str, value: Any) -> Any:
        if name == "pairs":
            return PairCounts(**value)
        if name == "site":
            return Site.of(value or self.recipe.get("site") or "state")
        if name == "positions":
            return positions_of(value)
        return tuple(value) if isinstance(value, list) else value

    @property
    def engine(self) -> str:
        """The route through the model."""
        return self.config["search"]["engine"]

    @property
    def search(self) -> SearchSettings:
        """Of the search."""
        return SearchSettings(**{name: value for name, value in self.config["search"].items() if name != "engine"})

    @cached_property
    def device(self) -> torch.device:
        """The device that the configuration names; "auto" takes CUDA where it is present.

        Raises:
            InvalidArgumentError: there is no such device here.
        """
        name = self.config["device"]
        if name == "auto":
            name = "cuda" if torch.cuda.is_available() else "cpu"
        return check_device(name)

    @property
    def recipe(self) -> dict[str, Any]:
        """The task's recipe."""
        return dict(self.config["tasks"])

    @cached_property
    def task(self) -> Task:
        """The recipe's task. One that is asked as text takes the tokenizer of the model that is named."""
        recipe = self.recipe
        given = recipe.get("arguments") or {}
        if not isinstance(given, Mapping):
            raise InvalidArgumentError(f"tasks.arguments={given!r} is not allowed: it must be a mapping")
        arguments = dict(given)
        if "tokenizer" in arguments and arguments["tokenizer"] is None:
            if self.config["model"] is None:
                raise InvalidArgumentError(f"model=null is not allowed with tasks={recipe['name']}: name one to ask")
            arguments["tokenizer"] = self.config["model"]
        return load_task({**recipe, "arguments": arguments})

    @property
    def untrained(self) -> nn.Module:
        """The recipe's model with fresh weights."""
        return self.fresh(self.recipe, self.task)

    @cached_property
    def model(self) -> nn.Module:
        """The model that is named, or the recipe's, trained."""
        if self.config["model"] is not None:
            found = read_model(self.config["model"], device=self.device, dtype=self.config["dtype"])
            if self.asks_task and not self.rehearsal:
                self._evaluated(found)
            return found
        return self.trained(self.recipe, self.task, self.config["seed"])

    def _evaluated(self, model: nn.Module) -> None:
        """Say how well a model that was not trained here does the task: else an IIA means nothing."""
        accuracy = evaluate(model, self.task, n=EVALUATED)
        self.run.note(evaluation=plain(accuracy))
        verdict = "" if accuracy.accuracy >= KNOWS else ": it does NOT do the task, and IIA says little"
        self.run.say(f"model        trial accuracy {100 * accuracy.accuracy:.1f} %{verdict}")

    def make(self, **shape: Any) -> nn.Module:
        """The recipe's model with another shape, trained; `hidden_size=32`, say."""
        recipe = {**self.recipe, "model": {**self.recipe["model"], **shape}}
        same = recipe["model"] == self.recipe["model"]
        name = "model" if same else "model_" + "_".join(f"{key}_{value}" for key, value in shape.items())
        return self.trained(recipe, self.task, self.config["seed"], name)

    @property
    def sides(self) -> list[Side]:
        """The networks of `experiment.networks`: name -> what differs from the run's recipe (tasks, model, seed)."""
        site, found = self._standard("site", self.config["site"]), []
        for name, spec in self._networks().items():
            for key in spec or {}:
                check_name("key of a network", key, ("tasks", "model", "seed"))
            wanted, own = dict(spec or {}), self.recipe
            # The run's recipe says how large the trials are and how long training is, for every network.
            recipe = recipes.read("tasks", wanted["tasks"]) if "tasks" in wanted else dict(own)
            parts = {part: {**(recipe.get(part) or {}), **(own.get(part) or {})} for part in ("arguments", "training")}
            recipe |= {**parts, "model": {**own["model"], **(wanted.get("model") or {})}}
            task = load_task(recipe)
            model = self.trained(recipe, task, wanted.get("seed", self.config["seed"]), name)
            found.append(Side(name, model, task, site=site))
        return found

    @cached_property
    def models(self) -> dict[str, nn.Module]:
        """The study's `networks`, each trained, or read from its `path`.

        Raises:
            InvalidArgumentError: an entry has neither a path nor a model.
        """
        found: dict[str, nn.Module] = {}
        for name, entry in self._networks().items():
            if set(entry) == {"path"}:
                found[name] = read_model(entry["path"], device=self.device, dtype=self.config["dtype"])
            elif "model" in entry and set(entry) <= {"model", "training"}:
                recipe = {"training": self.training, **entry}
                found[name] = self.trained(recipe, self.task, self.config["seed"], f"models/{name}")
            else:
                raise InvalidArgumentError(
                    f"networks.{name}={dict(entry)!r} is not allowed: give the path of a saved model, or a model and, "
                    "if that is not the recipe's, its training"
                )
        return found

    def _networks(self) -> Mapping[str, Any]:
        """Those that are given, or that are named of the study's own.

        Raises:
            InvalidArgumentError: it has no such network, or none of its own.
        """
        names, known = self.config["experiment"]["networks"], self._own_networks
        if isinstance(names, Mapping):
            return names
        if not isinstance(known, Mapping) or not isinstance(names, str | list):
            raise InvalidArgumentError(f"networks={names!r} is not allowed: give networks by name, {{NAME: ...}}")
        wanted = [names] if isinstance(names, str) else names
        return {name: known[check_name("network", name, known)] for name in wanted}

    def fresh(self, recipe: Mapping[str, Any], task: Task, seed: int | None = None) -> nn.Module:
        """The model of a recipe before training, on its device.

        Raises:
            InvalidArgumentError: the recipe's `training` is not one of `numsym.train`, or its `model` not one of
                `numsym.models.build`.
        """
        if unknown := set(recipe["training"]) - TRAINING:
            files = sorted((recipes.root() / "tasks").glob("*.yaml"))
            fit = [file.stem for file in files if set(recipes.read("tasks", file).get("training") or ()) <= TRAINING]
            raise InvalidArgumentError(
                f"tasks={task.name!r} is not allowed in this experiment: its training has "
                f"{', '.join(sorted(unknown))}, where there may be {', '.join(sorted(TRAINING))}; "
                f"choose one of {', '.join(fit)}"
            )
        check_settings(recipe["training"])
        torch.manual_seed(self.config["seed"] if seed is None else seed)
        return nn.Module.to(build(task.vocab_size, **recipe["model"]), self.device)

    def trained(self, recipe: Mapping[str, Any], task: Task, seed: int, name: str = "model") -> nn.Module:
        """The model of a recipe, trained in the run."""
        model = self.fresh(recipe, task, seed)
        if self.rehearsal:
            return model.eval()
        log = train(model, task, seed=seed, run=self.run, name=name, **recipe["training"])
        verdict = "every trial right" if log.reached else "NOT every trial right"
        accuracy = log.evaluation or evaluate(model, task)
        held_out = "" if accuracy.held_out is None else f", held-out counts {100 * accuracy.held_out:.1f} %"
        self.run.say(
            f"{name:<12} {verdict} after {log.steps} steps: trial accuracy {100 * accuracy.accuracy:.1f} %{held_out}"
        )
        return model

    @property
    def training(self) -> dict[str, Any]:
        """The recipe's settings of training, as arguments of `numsym.train`."""
        return dict(self.recipe["training"])

    @cached_property
    def hypotheses(self) -> dict[str, Hypothesis]:
        """Every variable that is asked for (by default the task's own), by every alignment function, by name."""
        variables = self.config["variable"]
        asked = [None] if variables is None else [variables] if isinstance(variables, str) else list(variables)
        chosen = self.config["interventions"]
        chosen = {"alignment": chosen} if "representations" in chosen else chosen
        found: dict[str, Hypothesis] = {}
        for variable in asked:
            program, name, site = self._asked(variable)
            for label, recipe in chosen.items():
                key = label if len(asked) == 1 else f"{name}_{label}"
                if key in found:
                    raise InvalidArgumentError(
                        f"variable={asked!r} is not allowed: {name} is in it twice; give each in a run of its own"
                    )
                k, seed = self._dimension(recipe), self.config["seed"]
                own = recipe.get("search") or {}
                more = site, own.get("condition"), own.get("dictionary")
                found[key] = Hypothesis(program, name, function_of(recipe), k, seed, *more)
        return found

    def _asked(self, variable: str | None) -> tuple[str, str | None, str | None]:
        """Program, variable and site of "variable", "program.variable" or "program.variable@site"."""
        usual = self.config["program"] or self.task.search[0]
        if variable is None:
            return usual, self.task.search[1] if usual == self.task.search[0] else None, None
        name, _, site = variable.partition("@")
        program, _, name = name.rpartition(".")
        return program or usual, name, site or None

    def _dimension(self, recipe: Mapping[str, Any]) -> int | None:
        own = (recipe.get("search") or {}).get("subspace_dim")
        return self.config["subspace_dim"] if own is None else own


def _rebuilt(hint: Any, value: Any) -> Any:
    """As the study takes it; what is nothing of the kind is left to the study to refuse."""
    try:
        return rebuilt(hint, value)
    except NumsymError:  # a setting's own, which says what is wrong with it
        raise
    except (AttributeError, TypeError, ValueError):
        return value
