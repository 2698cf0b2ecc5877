"""A job: one training, named by what it is. The jobs of a profile, in the order of what they are worth."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace

from ygan_core.config import CONFIGURATIONS, DATASETS, Config, as_dict
from ygan_study.methods import BASELINES
from ygan_study.methods.ablations import ABLATIONS, classifier, variant
from ygan_study.methods.public_code import DEVIATIONS, applies
from ygan_study.plan import search
from ygan_study.plan.profiles import (
    LEAVES,
    ONCE,
    ONE,
    Classes,
    Draw,
    drawn,
    profile,
    profile_config,
)

TRAINING_VERSION = 3  # raised when the same config gives other numbers, or a folder holds other facts: every id is then new
DATA = frozenset(
    (
        "dataset",
        "held_out",
        "stand_in",
        "source",
        "images_per_class",
        "image_size",
        "pixels",
        "split_seed",
    )
)  # settings that every method reads


def settings_read(config: Config) -> frozenset[str]:
    """The settings that a training of this method reads. The others change nothing in it."""
    if config.method in BASELINES:
        return DATA | {"method", "variant"} | BASELINES[config.method].reads
    return frozenset(field.name for field in fields(Config))


@dataclass(frozen=True)
class Job:
    """One training. config: what is trained; settings that its method does not read are at their defaults.

    group: the part of the plan that first asked for it.
    """

    config: Config
    group: str = field(default="", compare=False)

    def __post_init__(self):
        read = settings_read(self.config)
        unread = {f.name: f.default for f in fields(Config) if f.name not in read}
        object.__setattr__(self, "config", replace(self.config, **unread))

    @functools.cached_property
    def id(self) -> str:
        """Stable: dataset, class held out, method, configuration, seed, and a hash of the settings that are not the defaults.

        So a setting that is added later, with a default that changes nothing, leaves the ids of what is done alone.
        """
        c, default = self.config, as_dict(Config())
        settings = {key: value for key, value in as_dict(c).items() if value != default[key]}
        text = json.dumps({"version": TRAINING_VERSION, **settings}, sort_keys=True)
        held_out = "diseased" if c.held_out < 0 else str(c.held_out)
        what = [f"v{c.stand_in}"] * (c.stand_in >= 0) + [c.method] * (c.method != "ygan")
        what += (
            [c.variant] * (c.variant != "full")
            + [c.deviation] * (c.deviation != "none")
            + ["weak"] * (c.labels == "weak")
        )
        name = [c.name] * (c.method not in (*BASELINES, "classifier", "strong"))
        words = [
            c.dataset,
            held_out,
            *what,
            *name,
            f"s{c.seed}",
            hashlib.sha256(text.encode()).hexdigest()[:10],
        ]
        return "-".join(words)


def study_jobs(name: str, settings: Mapping | None = None) -> list[Job]:
    """The evidence of the paper in a profile, none twice: dataset x class held out x method x variant x seed.

    The groups stand in the order of what they are worth; each is whole over all its cells before the next begins. settings:
    overrides of Config. The profile `search` holds the trainings by which settings were chosen. Raises ConfigError.
    """
    settings = dict(settings or {})
    found = _search(settings) if name == "search" else _groups(name, settings)
    jobs = {}
    for group, configs in found.items():
        for job in (Job(config, group) for config in configs):
            jobs.setdefault(job.id, job)
    return list(jobs.values())


def first_draws(trainings: list) -> list:
    """Of the runs, or jobs, that differ in their seeds alone, the first."""
    first = {}
    for one in trainings:
        first.setdefault(replace(one.config, seed=0, split_seed=0), one)
    return list(first.values())


def shown(jobs: Iterable[Job]) -> list[Job]:
    """The jobs that pictures show: of each dataset one, Y-GAN in the first configuration, the first draw.

    The class held out is the one that every profile holds out, where it is there, else the first.
    """
    of_ygan, first = [job for job in jobs if job.group in CONFIGURATIONS], {}
    of_ygan = [job for job in of_ygan if job.group == of_ygan[0].group]
    for job in sorted(of_ygan, key=lambda job: job.config.held_out not in (*ONE, *LEAVES)):
        first.setdefault(job.config.dataset, job)
    return sorted(first.values(), key=lambda job: DATASETS.index(job.config.dataset))


def shown_at_paper_size(jobs: Iterable[Job]) -> list[Job]:
    """The jobs of the paper's own size that pictures show: those with the paper's weights of the losses."""
    return [job for job in jobs if job.group == "paper_size" and job.config.name == "paper"]


def _groups(name: str, settings: dict) -> dict[str, list[Config]]:
    p = profile(name)
    tables = {"mnist": p.classes, "fmnist": p.classes, "cifar10": p.classes, "plantvillage": LEAVES}
    asked = "seed" in settings or "split_seed" in settings

    def repeated(config: Config, draws: tuple[Draw, ...]) -> list[Config]:
        return [config] if asked else drawn(config, draws)

    def cells(
        configuration: str, classes: Classes, once: bool = False, of: str = name
    ) -> list[Config]:
        found = []
        for dataset, held_out_classes in classes.items():
            base = profile_config(of, dataset, configuration, settings)
            for held_out in (base.held_out,) if "held_out" in settings else held_out_classes:
                config = replace(base, held_out=held_out)
                several = not once and held_out in p.drawn
                found += repeated(config, p.draws if several else ONCE)
        return list(
            dict.fromkeys(
                classifier(config) if configuration == "control" else config for config in found
            )
        )

    def of_paper(configuration: str, classes: Classes) -> list[Config]:
        return (
            [] if settings else cells(configuration, classes, once=True, of="paper")
        )  # a change is for one core to try

    color = [
        profile_config(name, "color_mnist", configuration, settings)
        for configuration in p.color_mnist
    ]
    first, leaves = p.benchmarks[0], {"plantvillage": LEAVES}
    as_printed = "paper" if "paper" in p.benchmarks else first
    ladder = [
        replace(config, epochs=epochs)
        for configuration in ("control", "paper")
        for epochs in p.ladder_epochs
        for config in cells(configuration, p.ladder, once=True)
    ]
    beyond = {"cifar10": p.strong["cifar10"]} if "cifar10" in p.strong else {}
    as_long = {
        dataset: profile_config(name, dataset, "whitened", settings).epochs for dataset in beyond
    }
    own_epochs = {} if "epochs" in settings else p.epochs  # of some baselines
    background = {
        "classifier": cells("control", leaves, once=True),
        "ygan": cells(first, leaves, once=True),
    }
    return {
        "color_mnist": [one for config in color for one in repeated(config, p.color_draws)],
        "classifier": cells("control", tables),
        **{configuration: cells(configuration, tables) for configuration in p.benchmarks},
        "paper_rate": [
            replace(config, lr=Config().lr) for config in cells("control", p.paper_rate, once=True)
        ],
        "strong": cells("strong", p.strong),
        "whitened": cells("whitened", beyond),
        "strong_short": [replace(c, epochs=as_long[c.dataset]) for c in cells("strong", beyond)],
        "strong_wide": of_paper("strong", p.strong_wide),
        "paper_size": [
            c for kind in ("paper", "balanced", "control") for c in of_paper(kind, p.paper_size)
        ],
        "ladder": ladder,
        "ablations": [
            variant(c, v) for v in p.variants or ABLATIONS for c in cells(first, p.ablations)
        ],
        "weak_labels": [replace(config, labels="weak") for config in cells(first, p.weak_labels)],
        "baselines": [
            replace(
                config,
                method=method,
                epochs=own_epochs.get(method, {}).get(config.dataset, config.epochs),
            )
            for method in p.baseline_names or BASELINES
            for config in cells(first, (method == "padim" and p.padim) or p.baselines, once=True)
        ],
        "background_only": [
            variant(c, "background_only")
            for method in p.background_only
            for c in background[method]
        ],
        "deviations": [
            replace(config, deviation=deviation)
            for deviation in p.deviation_names or DEVIATIONS
            for config in cells(as_printed, p.deviations)
            if applies(deviation, config)
        ],
    }


def _search(settings: dict) -> dict[str, list[Config]]:
    """The trainings of `plan/search.py`, by candidate."""
    found = {}
    for method, candidates in (("classifier", search.CLASSIFIER), ("ygan", search.YGAN)):
        for candidate, changes in candidates.items():
            bases = [
                profile_config("quick", dataset, "paper", settings) for dataset in search.HELD_OUT
            ]
            configs = [
                replace(base, held_out=search.HELD_OUT[base.dataset], stand_in=stand_in, **changes)
                for stand_in in search.STAND_INS
                for base in bases
            ]
            found[f"{method}, {candidate}"] = (
                [classifier(c) for c in configs] if method == "classifier" else configs
            )
    for name, candidates, epochs in (
        ("strong", search.STRONG, search.STRONG_EPOCHS),
        ("whitened", search.WHITENED, search.WHITENED_EPOCHS),
    ):
        size = dict(width=search.STRONG_WIDTH, epochs=epochs)
        base = profile_config("laptop", search.STRONG_ON, name, {**size, **settings})
        for candidate, changes in candidates.items():
            found[f"{name}, {candidate}"] = [
                replace(
                    base, held_out=search.HELD_OUT[search.STRONG_ON], stand_in=stand_in, **changes
                )
                for stand_in in search.STAND_INS
            ]
    return found
