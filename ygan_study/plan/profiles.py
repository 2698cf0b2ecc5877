"""How much of the paper a run does: four profiles, and the config of each of their trainings."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from ygan_core.config import CONFIGURATIONS, DATASETS, TENS, Config, ConfigError, with_overrides

Classes = dict[str, tuple[int, ...]]  # classes held out one by one, by dataset
Draw = tuple[
    int, int
]  # seed, of the initial weights and the order of batches; split_seed, of the split


@dataclass(frozen=True)
class Profile:
    """How much of the paper one run does. Of several configurations the first is the one shown."""

    purpose: str
    source: str
    images_per_class: int
    width: int
    epochs: dict[
        str, dict[str, int]
    ]  # by configuration, by dataset; else a baseline has those of the first benchmark
    color_mnist: tuple[
        str, ...
    ]  # configurations of section 5; pictures show the first draw of each
    benchmarks: tuple[str, ...]  # Y-GAN's configurations in Tables 1-4
    classes: tuple[int, ...]  # held out in Tables 1-3
    draws: tuple[
        Draw, ...
    ]  # of Y-GAN and the control, in the classes `drawn`; elsewhere the first alone
    drawn: tuple[int, ...]
    ablations: Classes  # Tables 5 and 6
    baselines: Classes  # the baselines' cells of Tables 1-4
    variants: tuple[str, ...] = ()  # entries of ABLATIONS; (): all
    baseline_names: tuple[str, ...] = ()  # entries of BASELINES; (): all
    padim: Classes = field(
        default_factory=dict
    )  # cells of PaDiM, which trains nothing; {}: those of the other baselines
    strong: Classes = field(
        default_factory=dict
    )  # notebook 11: the strong control, and Y-GAN beside it
    strong_wide: Classes = field(
        default_factory=dict
    )  # the strong control once, in the configs of the profile `paper`
    paper_size: Classes = field(
        default_factory=dict
    )  # of TENS: Y-GAN and the control, once, in the configs of `paper`
    weak_labels: Classes = field(default_factory=dict)
    background_only: tuple[str, ...] = (
        "classifier",
        "ygan",
    )  # methods that are trained on PlantVillage's background
    deviations: Classes = field(default_factory=dict)  # notebook 09
    deviation_names: tuple[str, ...] = ()  # entries of DEVIATIONS; (): all
    ladder: Classes = field(default_factory=dict)  # trainings of several lengths
    paper_rate: Classes = field(
        default_factory=dict
    )  # the control once, at the paper's own learning rate
    ladder_epochs: tuple[int, ...] = (3, 10, 30, 100)
    color_draws: tuple[Draw, ...] = ((0, 0),)  # of section 5
    leaf_size: int = 64  # PlantVillage's pixels
    recorded: bool = (
        False  # its records come with the repository: what is missing is trained by `run` alone
    )


def _epochs(
    color_mnist: int, mnist: int, fmnist: int, cifar10: int, plantvillage: int
) -> dict[str, int]:
    return dict(zip(DATASETS, (color_mnist, mnist, fmnist, cifar10, plantvillage), strict=True))


def _alike(*epochs: int) -> dict[str, dict[str, int]]:
    return dict.fromkeys(CONFIGURATIONS, _epochs(*epochs))


# Of notebook 11. On CIFAR10 four epochs of `whitened` cost 1.16 times as many operations as ten of the strong control.
BEYOND = {"strong": _epochs(10, 10, 10, 10, 10), "whitened": _epochs(4, 4, 4, 4, 4)}
# What the authors of two baselines train. The other five are trained for far longer there: days of a core.
OF_AUTHORS = dict.fromkeys(("ganomaly", "skip_ganomaly"), _epochs(15, 15, 15, 15, 15))
TEN = tuple(range(10))
LEAVES = (-1,)  # PlantVillage holds out no class: its diseased leaves are the anomalies
# Class 4 (a 4, a Coat, a Deer) where there is time for one: in the middle, and chosen before any of its numbers was seen.
ONE, THREE = (4,), (1, 4, 7)
ONCE: tuple[Draw, ...] = ((0, 0),)
THRICE: tuple[Draw, ...] = ((0, 0), (1, 0), (2, 1))  # the third moves the split too


def _four(classes: tuple[int, ...]) -> Classes:
    return dict.fromkeys(TENS, classes) | {"plantvillage": LEAVES}


PROFILES = {
    "smoke": Profile(
        purpose="the tests",
        source="starter",
        images_per_class=40,
        width=8,
        epochs=_alike(3, 2, 2, 2, 2),
        color_mnist=("balanced", "paper"),
        benchmarks=("balanced",),
        classes=ONE,
        draws=ONCE,
        drawn=(*ONE, *LEAVES),
        ablations={"mnist": ONE},
        baselines={"mnist": ONE},
        strong={"cifar10": ONE},
        weak_labels={"mnist": ONE},
        background_only=("classifier",),
        deviations={"mnist": ONE},
    ),
    "quick": Profile(
        purpose="a first look, a class",
        source="starter",
        images_per_class=0,
        width=16,
        epochs=_alike(12, 7, 7, 14, 24) | {"whitened": _epochs(4, 4, 4, 4, 4)},
        color_mnist=("balanced", "paper"),
        benchmarks=("balanced",),
        classes=ONE,
        draws=THRICE,
        drawn=(*ONE, *LEAVES),
        ablations={"mnist": ONE},
        variants=("A1", "A2"),
        baselines={"mnist": ONE},
        baseline_names=(
            "padim",
            "knn_pixels",
            "knn_features",
        ),  # they train nothing, so that a short training is no excuse
        strong={"cifar10": ONE},
        weak_labels={"mnist": ONE},
        background_only=("classifier",),
        deviations={"cifar10": ONE},
        deviation_names=("public_code",),
    ),
    # Lengths by images seen, to the nearest epoch: balanced 200,000; paper and control 300,000. Fixed beforehand.
    "laptop": Profile(
        purpose="the reference edition: its records come with the repository",
        source="full",
        images_per_class=0,
        width=32,
        epochs={
            "control": _epochs(6, 6, 6, 7, 41),
            "balanced": _epochs(4, 4, 4, 5, 28),
            "paper": _epochs(6, 6, 6, 7, 41),
            **BEYOND,
            **OF_AUTHORS,
        },
        color_mnist=("balanced", "paper"),
        benchmarks=("balanced", "paper"),
        classes=TEN,
        draws=THRICE,
        drawn=(*THREE, *LEAVES),
        ablations=_four(ONE),
        baselines=_four(ONE),
        padim=_four(TEN),
        strong=dict.fromkeys(TENS, TEN),
        strong_wide={"cifar10": TEN},
        paper_size={"cifar10": ONE},
        weak_labels=_four(ONE),
        deviations={"mnist": ONE, "cifar10": ONE},
        paper_rate=dict.fromkeys(TENS, TEN),
        ladder={"mnist": ONE, "cifar10": ONE, "plantvillage": LEAVES},
        color_draws=THRICE,
        recorded=True,
    ),
    "paper": Profile(
        purpose="the paper's setting, a GPU",
        source="full",
        images_per_class=0,
        width=64,
        epochs=_alike(100, 100, 100, 100, 200) | BEYOND,  # 4.3
        color_mnist=("paper", "balanced"),
        benchmarks=("paper", "balanced"),
        classes=TEN,
        draws=THRICE,
        drawn=(*TEN, *LEAVES),
        ablations=_four(TEN),
        baselines=_four(TEN),
        strong=dict.fromkeys(TENS, TEN),
        weak_labels=_four(TEN),
        deviations={"mnist": THREE, "cifar10": TEN},
        paper_rate=dict.fromkeys(TENS, TEN),
        color_draws=THRICE,
        leaf_size=256,
    ),
}


def profile(name: str) -> Profile:
    """A profile by its name. Raises ConfigError."""
    if name not in PROFILES:
        raise ConfigError(f"no profile {name!r}: choose from {', '.join(PROFILES)}")
    return PROFILES[name]


def profile_config(
    name: str, dataset: str, configuration: str, overrides: dict | None = None
) -> Config:
    """The training of a profile on a dataset, with some settings replaced (see `with_overrides`).

    Raises ConfigError for a profile or an override that does not exist.
    """
    p = profile(name)
    own = (
        dict(held_out=-1, image_size=p.leaf_size, augmentation="leaves")
        if dataset == "plantvillage"
        else {}
    )
    if configuration in ("strong", "whitened") and not own:
        own = dict(
            augmentation="flips" if dataset == "cifar10" else "shifts"
        )  # a mirrored 2 is no 2
    base = dict(
        dataset=dataset, source=p.source, images_per_class=p.images_per_class, width=p.width
    )
    base["epochs"] = p.epochs[configuration][dataset]
    config = Config(**{**base, **own, **CONFIGURATIONS[configuration]})
    overrides = dict(overrides or {})
    if dataset == "plantvillage":
        overrides.pop("held_out", None)
    return with_overrides(config, overrides)


def drawn(config: Config, draws: tuple[Draw, ...]) -> list[Config]:
    """`config` once for each draw of seed and split_seed."""
    return [replace(config, seed=seed, split_seed=split_seed) for seed, split_seed in draws]
