"""A job: one training, named by what it is. The jobs of a profile, the most valuable first."""

import functools
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace

from ygan_study.methods import BASELINES, METHODS
from ygan_study.methods.ablations import ABLATIONS, VARIANTS
from ygan_study.methods.classifier import CLASSIFIER
from ygan_study.methods.public_code import DEVIATIONS, applies
from ygan_study.plan import search
from ygan_study.plan.profiles import (
    LEAVES,
    ONCE,
    ONE,
    Classes,
    Seeds,
    profile,
    profile_settings,
    with_seeds,
)
from ygan_study.plan.settings import DATASETS, Cell, Settings

# Raised when the same settings give other numbers, or a folder holds other facts: every id is new
# then.
TRAINING_VERSION = 3
# The settings that decide which images there are. Weak labels are made of the images of their cell.
DATA = frozenset(f.name for f in fields(Cell)) - {"labels"} | {"image_size"}


def settings_read(settings: Settings) -> frozenset[str]:
    """The settings that a training of this method reads. The others change nothing in it."""
    if settings.method in BASELINES:
        return DATA | {"method", "variant"} | METHODS[settings.method].trainer.reads
    return frozenset(f.name for f in fields(Settings))


@dataclass(frozen=True)
class Job:
    """One training.

    config: its settings; those that its method does not read are at their defaults. group: the part
    of the plan that asks for it first.
    """

    config: Settings
    group: str = field(default="", compare=False)

    def __post_init__(self):
        read = settings_read(self.config)
        unread = {f.name: f.default for f in fields(Settings) if f.name not in read}
        object.__setattr__(self, "config", replace(self.config, **unread))

    @functools.cached_property
    def id(self) -> str:
        """Dataset, held-out class, method, configuration, seed, and a hash of the settings.

        Only settings that differ from the defaults are hashed, so a setting that is added later,
        with a default that changes nothing, leaves the ids of earlier trainings as they are.
        """
        c, default = self.config, Settings().as_json()
        recorded = {key: value for key, value in c.as_json().items() if value != default[key]}
        text = json.dumps({"version": TRAINING_VERSION, **recorded}, sort_keys=True)
        words = [
            (f"v{c.stand_in}", c.stand_in >= 0),
            (c.method, c.method != "ygan"),
            (c.variant, c.variant != "full"),
            (c.deviation, c.deviation != "none"),
            ("weak", c.labels == "weak"),
            (c.name, c.method not in (*BASELINES, "classifier", "strong")),
        ]
        held_out = "diseased" if c.held_out < 0 else str(c.held_out)
        name = [c.dataset, held_out, *(word for word, holds in words if holds)]
        return "-".join([*name, f"s{c.seed}", hashlib.sha256(text.encode()).hexdigest()[:10]])


def study_jobs(name: str, settings: Mapping | None = None) -> list[Job]:
    """The jobs of a profile, none twice.

    The groups stand in the order of their value; each is complete before the next begins. settings:
    overrides of Settings. The profile `search` holds the trainings by which settings were chosen.
    Raises ConfigError.
    """
    settings = dict(settings or {})
    found = _search(settings) if name == "search" else _groups(name, settings)
    jobs = {}
    for group, configs in found.items():
        for job in (Job(config, group) for config in configs):
            jobs.setdefault(job.id, job)
    return list(jobs.values())


def first_seeds(trainings: list) -> list:
    """Of the runs, or jobs, that differ in their seeds alone, the first."""
    first = {}
    for one in trainings:
        first.setdefault(replace(one.config, seed=0, split_seed=0), one)
    return list(first.values())


def pictured(jobs: Iterable[Job]) -> list[Job]:
    """The jobs that pictures show: of each dataset, the first configuration with its first seed.

    The held-out class is the one that every profile has, if it is there, else the first.
    """
    of_ygan = [job for job in jobs if job.group in METHODS and job.config.method == "ygan"]
    of_ygan = [job for job in of_ygan if job.group == of_ygan[0].group]
    first = {}
    for job in sorted(of_ygan, key=lambda job: job.config.held_out not in (*ONE, *LEAVES)):
        first.setdefault(job.config.dataset, job)
    return sorted(first.values(), key=lambda job: DATASETS.index(job.config.dataset))


def pictured_at_paper_size(jobs: Iterable[Job]) -> list[Job]:
    """The jobs of the paper's own size that pictures show: those with the paper's loss weights."""
    return [job for job in jobs if job.group == "paper_size" and job.config.name == "paper"]


def _groups(name: str, settings: dict) -> dict[str, list[Settings]]:
    p = profile(name)
    tables = {**dict.fromkeys(("mnist", "fmnist", "cifar10"), p.classes), "plantvillage": LEAVES}
    seeds_given = "seed" in settings or "split_seed" in settings

    def repeated(config: Settings, seeds: tuple[Seeds, ...]) -> list[Settings]:
        return [config] if seeds_given else with_seeds(config, seeds)

    def cells(key: str, classes: Classes, group: str = "", of: str = name) -> list[Settings]:
        """A method's settings for each held-out class, with the seeds that a group has there.

        group: whose seeds; "": the first seed alone.
        """
        found = []
        for dataset, held_out_classes in classes.items():
            base = profile_settings(of, dataset, key, settings)
            seeds = p.seeds[: p.seeds_of.get((group, dataset))] if group else ONCE
            for held_out in (base.held_out,) if "held_out" in settings else held_out_classes:
                config = replace(base, held_out=held_out)
                found += repeated(config, seeds if held_out in p.repeated else ONCE)
        return list(dict.fromkeys(found))

    def once(group: str, key: str = "") -> list[Settings]:
        """A method in the classes of a group, with the first seed. key: "" where both are alike."""
        return cells(key or group, p.trained.get(group, {}))

    def seeded(group: str, key: str = "") -> list[Settings]:
        """The same with the seeds of the group."""
        return cells(key or group, p.trained.get(group, {}), group)

    def of_paper(group: str, *keys: str) -> list[Settings]:
        """Trainings of the paper's own size, which overrides leave out."""
        classes = {} if settings else p.trained.get(group, {})
        return [one for key in keys for one in cells(key, classes, of="paper")]

    def lengthened(configs: list[Settings], epochs: dict[str, int]) -> list[Settings]:
        """The same for so many epochs, by dataset, unless these are overridden."""
        epochs = {} if "epochs" in settings else epochs
        return [replace(c, epochs=epochs.get(c.dataset, c.epochs)) for c in configs]

    def baseline(method: str) -> list[Settings]:
        configs = cells(first, p.of_baseline.get(method, p.trained["baselines"]))
        return _changed(lengthened(configs, p.epochs.get(method, {})), method=method)

    def ablations(key: str) -> list[Settings]:
        """Where the ablations train shorter, Y-GAN itself is among them, at that length."""
        whole = seeded("ablations", first)
        found = lengthened(whole, p.ablation_epochs)
        found += cells(first, p.ablated_too.get(key, {}))
        return _changed([one for one in found if key != "full" or one not in whole], variant=key)

    def deviations(config: Settings) -> list[Settings]:
        """Each difference of the public code alone, and each taken back from the whole of it."""
        size = {k: v for k, v in p.deviation_size.items() if k not in settings}
        small = replace(config, consistency=Settings.consistency, **size)
        names = ("none", *(p.deviation_names or DEVIATIONS))
        found = [replace(small, deviation=name) for name in names if applies(name, small)]
        twice = [one for one in found if one.deviation in p.deviations_twice]
        return found + [again for one in twice for again in repeated(one, p.seeds[1:2])]

    def color_mnist(key: str, seeds: int) -> list[Settings]:
        config = profile_settings(name, "color_mnist", key, settings)
        return repeated(config, p.seeds[:seeds])

    first, leaves = p.benchmarks[0], {"plantvillage": LEAVES}
    beyond = {"cifar10": p.trained["strong"]["cifar10"]}
    short = profile_settings(name, "cifar10", "whitened", settings).epochs
    background = {"classifier": "classifier", "ygan": first}
    return {
        "color_mnist": [one for key, n in p.color_mnist.items() for one in color_mnist(key, n)],
        "classifier": cells("classifier", tables, "classifier"),
        **{key: cells(key, tables, key) for key in p.benchmarks},
        "mirrored": once("mirrored"),
        "public_code": seeded("public_code"),
        "all_but_permutations": once("all_but_permutations"),
        "paper_rate": _changed(once("paper_rate", "classifier"), lr=Settings().lr),
        "strong": seeded("strong"),
        "whitened": cells("whitened", beyond, "whitened"),
        "strong_short": _changed(cells("strong", beyond, "strong_short"), epochs=short),
        "strong_wide": of_paper("strong_wide", "strong"),
        "paper_size": of_paper("paper_size", "paper", "balanced", "classifier"),
        "ladder": [
            replace(config, epochs=epochs)
            for (key, dataset), lengths in p.ladder.items()
            for epochs in (lengths if "epochs" not in settings else ())
            for config in cells(key, {dataset: LEAVES if dataset == "plantvillage" else ONE})
        ],
        "ablations": [one for key in ("full", *ABLATIONS) for one in ablations(key)],
        "weak_labels": _changed(seeded("weak_labels", first), labels="weak"),
        "baselines": [one for method in BASELINES for one in baseline(method)],
        "background_only": [
            one
            for method in p.background_only
            for one in _changed(cells(background[method], leaves), variant="background_only")
        ],
        "deviations": [one for config in once("deviations", "paper") for one in deviations(config)],
        "longest": lengthened(once("longest", "paper"), profile("paper").epochs["paper"]),
    }


def _changed(configs: list[Settings], variant: str = "full", **changes) -> list[Settings]:
    """The same with these changes, and those of a variant."""
    return [replace(c, variant=variant, **VARIANTS[variant], **changes) for c in configs]


def _search(settings: dict) -> dict[str, list[Settings]]:
    """The trainings of `plan/search.py`, by candidate."""
    on = search.STRONG_ON
    quick = [
        profile_settings("quick", dataset, "paper", {"epochs": epochs, **settings})
        for dataset, epochs in search.EPOCHS.items()
    ]

    def large(key: str, epochs: int) -> list[Settings]:
        size = {"width": search.STRONG_WIDTH, "epochs": epochs}
        return [profile_settings("laptop", on, key, {**size, **settings})]

    return {
        f"{method}, {candidate}": [
            replace(base, held_out=search.HELD_OUT[base.dataset], stand_in=stand_in, **changes)
            for stand_in in search.STAND_INS
            for base in bases
        ]
        for method, candidates, bases in (
            ("classifier", search.CLASSIFIER, _changed(quick, **CLASSIFIER)),
            ("ygan", search.YGAN, quick),
            ("strong", search.STRONG, large("strong", search.STRONG_EPOCHS)),
            ("whitened", search.WHITENED, large("whitened", search.WHITENED_EPOCHS)),
        )
        for candidate, changes in candidates.items()
    }
