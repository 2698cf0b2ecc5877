"""How much of the paper a run does: four profiles, and the settings of each of their trainings."""

from dataclasses import dataclass, field, replace
from itertools import product

from ygan_core.config import ConfigError
from ygan_study.methods import METHODS
from ygan_study.methods.speed_run import SpeedRun
from ygan_study.plan.settings import DATASETS, TENS, Settings, with_overrides

Classes = dict[str, tuple[int, ...]]  # classes held out one by one, by dataset
Seeds = tuple[int, int]  # seed, of the initial weights and the order of batches; split_seed
TEN = tuple(range(10))
LEAVES = (-1,)  # PlantVillage holds out no class: its diseased leaves are the anomalies
# Where there is time for one class, it is class 4 (a 4, a Coat, a Deer), chosen beforehand.
ONE, THREE = (4,), (1, 4, 7)
ONCE: tuple[Seeds, ...] = ((0, 0),)
THRICE: tuple[Seeds, ...] = ((0, 0), (1, 0), (2, 1))  # the third has another split too


@dataclass(frozen=True)
class Profile:
    """How much of the paper one run does. Of several configurations the first is the one shown."""

    purpose: str
    source: str
    images_per_class: int
    width: int
    # By method and dataset; a baseline's default is that of benchmarks[0].
    epochs: dict[str, dict[str, int]]
    benchmarks: tuple[str, ...]  # configurations of Y-GAN in Tables 1 to 4
    classes: tuple[int, ...]  # held out in Tables 1 to 3
    # Of Y-GAN and the classifier, in the classes `repeated`; elsewhere the first alone.
    seeds: tuple[Seeds, ...]
    repeated: tuple[int, ...]
    color_mnist: dict[str, int]  # of section 5: by configuration, how many of the seeds
    # The classes of the other groups of jobs (`jobs._groups`), by group.
    trained: dict[str, Classes]
    # Of `seeds`, how many a group of jobs runs on a dataset; all where nothing is said.
    seeds_of: dict[tuple[str, str], int] = field(default_factory=dict)
    # Of the baselines that have classes of their own.
    of_baseline: dict[str, Classes] = field(default_factory=dict)
    background_only: tuple[str, ...] = ("classifier", "ygan")
    ablation_epochs: dict[str, int] = field(default_factory=dict)  # where Table 5 trains shorter
    # Further classes of an ablation, once: what an ablation does in one class may be tested in ten.
    ablated_too: dict[str, Classes] = field(default_factory=dict)
    deviation_names: tuple[str, ...] = ()  # entries of DEVIATIONS; (): all
    deviations_twice: tuple[str, ...] = ()  # those that are trained with a second seed too
    deviation_size: dict = field(default_factory=dict)  # settings of their short trainings
    # Epochs of further trainings in one class, by configuration and dataset.
    ladder: dict[tuple[str, str], tuple[int, ...]] = field(default_factory=dict)
    leaf_size: int = 64  # pixels a side of PlantVillage's images
    recorded: bool = False  # its records are in the repository: only `run` trains what is missing


def _epochs(*epochs: int) -> dict[str, int]:
    return dict(zip(DATASETS, epochs, strict=True))


def _alike(*epochs: int) -> dict[str, dict[str, int]]:
    return dict.fromkeys(METHODS, _epochs(*epochs))


# Notebook 11: on CIFAR10, four epochs of `whitened` cost 1.16 times the operations of ten of
# `strong`.
BEYOND = {"strong": _epochs(*[10] * 5), "whitened": _epochs(*[4] * 5)}
# The public code's default, over which its learning rate falls after the eighth epoch.
CODE_EPOCHS = dict.fromkeys(DATASETS, 15)
# What the authors of two baselines train; the other baselines are trained for days there.
OF_AUTHORS = dict.fromkeys(("ganomaly", "skip_ganomaly"), _epochs(*[15] * 5))


def _four(classes: tuple[int, ...]) -> Classes:
    return dict.fromkeys(TENS, classes) | {"plantvillage": LEAVES}


_ONE_CLASS = dict(  # what the profiles of one class have in common
    source="starter",
    benchmarks=("balanced",),
    classes=ONE,
    repeated=(*ONE, *LEAVES),
    color_mnist={"balanced": 1, "paper": 1},
    trained={
        **dict.fromkeys(
            ("ablations", "baselines", "weak_labels", "public_code", "deviations"), {"mnist": ONE}
        ),
        "strong": {"cifar10": ONE},
    },
    background_only=("classifier",),
)

PROFILES = {
    "smoke": Profile(
        purpose="the tests",
        images_per_class=40,
        width=8,
        epochs=_alike(3, 2, 2, 2, 2),
        seeds=ONCE,
        deviation_names=("mirrored", "all_but_mirrored", "public_code"),
        **_ONE_CLASS,
    ),
    "quick": Profile(
        purpose="a first look, a class",
        images_per_class=0,
        width=16,
        epochs=_alike(9, 7, 7, 14, 12)
        | dict.fromkeys(("f_anogan", "p_net", "arnet"), _epochs(1, 1, 1, 1, 1))
        | {"whitened": _epochs(4, 4, 4, 4, 4), "public_code": _epochs(5, 5, 5, 5, 5)},
        seeds=THRICE,
        deviation_size=dict(width=8, epochs=1),
        seeds_of={
            **{(group, "cifar10"): 1 for group in ("strong", "whitened", "strong_short")},
            **{(group, "mnist"): 1 for group in ("ablations", "weak_labels", "public_code")},
        },
        **_ONE_CLASS,
    ),
    # Lengths by images seen, fixed beforehand: balanced 200,000, paper and classifier 300,000.
    "laptop": Profile(
        purpose="the reference edition: its records come with the repository",
        source="full",
        images_per_class=0,
        width=32,
        epochs={
            "classifier": _epochs(6, 6, 6, 7, 41),
            "balanced": _epochs(4, 4, 4, 5, 28),
            **dict.fromkeys(("paper", "mirrored"), _epochs(6, 6, 6, 7, 41)),
            **dict.fromkeys(("public_code", "all_but_permutations"), CODE_EPOCHS),
            **BEYOND,
            **OF_AUTHORS,
        },
        benchmarks=("balanced", "paper"),
        classes=TEN,
        seeds=THRICE,
        repeated=(*THREE, *LEAVES),
        color_mnist={"balanced": 2, "paper": 2, "public_code": 1, "mirrored": 1},
        trained={
            **dict.fromkeys(("ablations", "baselines", "weak_labels"), _four(ONE)),
            **dict.fromkeys(("strong", "paper_rate"), dict.fromkeys(TENS, TEN)),
            **dict.fromkeys(("mirrored", "deviations"), {"mnist": ONE, "cifar10": ONE}),
            "strong_wide": {"cifar10": TEN},
            "paper_size": {"cifar10": ONE},
            "public_code": dict.fromkeys(TENS, ONE),
            "all_but_permutations": {"mnist": TEN, "fmnist": THREE, "cifar10": THREE},
            "longest": {"mnist": ONE, "color_mnist": (0,)},
        },
        seeds_of={
            **{("paper", dataset): 1 for dataset in ("mnist", "fmnist", "plantvillage")},
            ("paper", "cifar10"): 2,
            ("strong", "mnist"): 2,
            ("strong", "fmnist"): 1,
            ("ablations", "cifar10"): 2,
            ("ablations", "plantvillage"): 1,
            **{("weak_labels", dataset): 1 for dataset in ("fmnist", "cifar10", "plantvillage")},
            **{("public_code", dataset): 1 for dataset in ("fmnist", "cifar10")},
        },
        of_baseline={
            "padim": _four(TEN),
            **dict.fromkeys(("f_anogan", "p_net"), {"mnist": ONE}),
            **dict.fromkeys(("ocgan", "arnet", "patch_svdd"), dict.fromkeys(TENS, ONE)),
        },
        ablation_epochs={"plantvillage": 14},
        ablated_too={"A2": {"cifar10": TEN}},
        deviations_twice=("none", "mirrored", "public_code", "all_but_mirrored"),
        deviation_size=dict(width=16, epochs=3, images_per_class=3000),
        ladder={
            **dict.fromkeys(product(("classifier", "paper"), ("mnist", "cifar10")), (3, 10, 30)),
            ("classifier", "plantvillage"): (10, 100),
        },
        recorded=True,
    ),
    "paper": Profile(
        purpose="the paper's setting, a GPU",
        source="full",
        images_per_class=0,
        width=64,
        epochs=_alike(100, 100, 100, 100, 200) | {"public_code": CODE_EPOCHS} | BEYOND,  # 4.3
        benchmarks=("paper", "balanced"),
        classes=TEN,
        seeds=THRICE,
        repeated=(*TEN, *LEAVES),
        color_mnist={"paper": 3, "balanced": 3, "public_code": 3},
        trained={
            **dict.fromkeys(("ablations", "baselines", "weak_labels"), _four(TEN)),
            **dict.fromkeys(("strong", "public_code", "paper_rate"), dict.fromkeys(TENS, TEN)),
            "deviations": {"mnist": THREE, "cifar10": TEN},
        },
        deviation_size=dict(epochs=15),
        leaf_size=256,
    ),
}


def profile(name: str) -> Profile:
    """A profile by its name. Raises ConfigError."""
    if name not in PROFILES:
        raise ConfigError(f"no profile {name!r}: choose from {', '.join(PROFILES)}")
    return PROFILES[name]


def profile_settings(
    name: str, dataset: str, configuration: str, overrides: dict | None = None
) -> Settings:
    """The training of a method on a dataset in a profile, with those settings replaced that the
    method reads.

    configuration: a key of METHODS. Raises ConfigError for a profile or an override that does not
    exist; one that the method does not read is not checked.
    """
    p, method = profile(name), METHODS[configuration]
    overrides = {k: v for k, v in (overrides or {}).items() if k not in method.unread}
    own = dict(dataset=dataset, source=p.source, images_per_class=p.images_per_class, width=p.width)
    own["epochs"] = p.epochs[configuration][dataset]
    if dataset == "plantvillage":
        own |= dict(held_out=-1, image_size=p.leaf_size, augmentation="leaves")
        overrides.pop("held_out", None)
    of_strong = issubclass(method.trainer, SpeedRun)
    if of_strong:
        own["augmentation"] = "flips" if dataset == "cifar10" else "shifts"  # a mirrored 2 is no 2
    if overrides.get("augmentation") in (("leaves",) if of_strong else ("shifts", "flips")):
        del overrides["augmentation"]  # another method's
    return with_overrides(Settings(**own | method.settings), overrides)


def with_seeds(settings: Settings, seeds: tuple[Seeds, ...]) -> list[Settings]:
    """`settings` once for each pair of seed and split_seed."""
    return [replace(settings, seed=seed, split_seed=split_seed) for seed, split_seed in seeds]
