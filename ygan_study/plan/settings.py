"""The settings of one training: which images (Cell), the paper's settings (Config), and what else.

`Settings` is flat, so that a record is read by `Settings(**json)`, and code reads `settings.epochs`
as well as `settings.dataset`.
"""

from dataclasses import asdict, dataclass, fields, replace
from typing import ClassVar

from ygan_core.config import Config, ConfigError
from ygan_study.methods import METHODS, key_of
from ygan_study.methods.ablations import VARIANTS
from ygan_study.methods.classifier import CLASSIFIER
from ygan_study.methods.public_code import DEVIATIONS
from ygan_study.methods.tuned import CONSISTENCY, LR_DECAY

DATASETS = ("color_mnist", "mnist", "fmnist", "cifar10", "plantvillage")
TENS = ("mnist", "fmnist", "cifar10")  # Tables 1 to 3: ten classes, held out one by one
_RECORDED_AS = {"classifier": "control"}  # the name in records that were written before


@dataclass(frozen=True)
class Cell:
    """Which images are trained on and tested with, and how they are split."""

    dataset: str = "color_mnist"
    held_out: int = 0  # the anomalous class (4.2); PlantVillage: -1, the diseased leaves
    stand_in: int = -1  # a second class held out, the anomaly of the search; -1: none
    source: str = "full"  # full: the whole dataset; starter: the part in the repository
    images_per_class: int = 0  # a slice of each class, for the tests; 0: all
    pixels: str = "all"  # all, or background: the control that sees the background alone
    labels: str = "true"  # of the normal sub-classes: true, or weak (k-means clusters, section 6.3)
    split_seed: int = 0  # of the 80/20 split (4.2) and of the colours (section 5)

    @property
    def outside(self) -> tuple[int, ...]:
        """The classes that no training sees: the held-out one and, in the search, its stand-in."""
        return (self.held_out,) if self.stand_in < 0 else (self.held_out, self.stand_in)


@dataclass(frozen=True)
class Settings(Cell, Config):
    """One training of the study. The defaults are the paper's. Raises ConfigError.

    name: the configuration of Y-GAN, a key of METHODS; method: `ygan` or another key of METHODS;
    variant: an entry of `ablations.VARIANTS`; deviation: an entry of `public_code.DEVIATIONS`.
    """

    name: str = "paper"
    method: str = "ygan"
    variant: str = "full"
    deviation: str = "none"
    average: float = 0.1  # fraction of the training that the averaged weights span

    # Not the paper's: see methods/tuned.py.
    ramp_con: bool = False
    lr_decay: str = "none"
    label_smoothing: float = 0.0
    consistency: str = "latents"

    # Not the paper's: see methods/speed_run.py.
    encoder: str = "dcgan"
    optimiser: str = "adam"
    lr_adam: float = 1e-3
    weight_decay: float = 0.0

    BOUNDS: ClassVar = Config.BOUNDS | {
        "split_seed": (0, 2**32 - 1),
        "images_per_class": (0, 1_000_000),
        "average": (1e-9, 1),
        "label_smoothing": (0, 0.999),
        "lr_adam": (1e-12, 1),
        "weight_decay": (0, 0.999),
        "stand_in": (-1, 9),
    }
    CHOICES: ClassVar = Config.CHOICES | {
        "dataset": DATASETS,
        "source": ("full", "starter"),
        "pixels": ("all", "background"),
        "labels": ("true", "weak"),
        "latents": (*Config.CHOICES["latents"], "semantic"),
        "augmentation": (*Config.CHOICES["augmentation"], "shifts", "flips"),
        "lr_decay": LR_DECAY,
        "consistency": CONSISTENCY,
        "deviation": ("none", *DEVIATIONS),
        "encoder": ("dcgan", "whitened"),
        "optimiser": ("adam", "nesterov"),
    }

    def __post_init__(self):
        if self.name == _RECORDED_AS["classifier"]:
            object.__setattr__(self, "name", "classifier")
        super().__post_init__()
        leaves, semantic = self.dataset == "plantvillage", self.latents == "semantic"
        unused = [f"lambda_{i}" for i in (1, 2, 4, 5, 6) if getattr(self, f"lambda_{i}")]
        problems = {
            "PlantVillage has no class to hold out: held_out and stand_in are -1": leaves
            and (self.held_out, self.stand_in) != (-1, -1),
            "held_out is a class from 0 to 9": not leaves and not 0 <= self.held_out <= 9,
            "stand_in has to differ from held_out": self.stand_in == self.held_out != -1,
            "images_per_class is at least 20, or 0 for all": 0 < self.images_per_class < 20,
            f"a classifier has L_s alone: set {', '.join(unused)} to 0": semantic and unused,
            "a classifier has no image score: set score to s": semantic and self.score == "s_x",
            "nesterov needs a momentum: set beta_1 above 0": self.optimiser == "nesterov"
            and not self.beta_1,
            "a deviation of the public code needs encoder dcgan and consistency latents": (
                self.deviation != "none"
                and (self.encoder, self.consistency) != ("dcgan", "latents")
            ),
        }
        for rule in (rule for rule, broken in problems.items() if broken):
            raise ConfigError(rule)

    @property
    def key(self) -> str:
        """The entry of METHODS that this training belongs to."""
        return key_of(self.method, self.deviation, self.name)

    @property
    def headline(self) -> str:
        """Whose weights the tables print: last or averaged."""
        return METHODS[self.key].headline

    @property
    def configuration(self) -> str:
        """The configuration's name and what was changed in it: `paper, lambda_5=0.0`.

        Left out is what has a name of its own (method, variant, deviation, seeds), and width,
        epochs and data.
        """
        own_name = self.key if self.method == "ygan" else self.name
        own = Settings(**METHODS[own_name].settings)
        named = {*VARIANTS[self.variant], *(CLASSIFIER if self.method == "classifier" else ())}
        aside = {*FIXED, *named, *_ASIDE}
        names = [f.name for f in fields(self) if f.name not in aside]
        changed = [name for name in names if getattr(self, name) != getattr(own, name)]
        return ", ".join([own_name, *(f"{name}={getattr(self, name)}" for name in changed)])

    def as_json(self) -> dict:
        """The settings as plain values, under the names that records have."""
        return {**asdict(self), "name": _RECORDED_AS.get(self.name, self.name)}


_ASIDE = ("width", "epochs", "image_size", "augmentation", "held_out", "source")
_ASIDE += ("images_per_class", "seed", "split_seed")
# They say which training it is, so an override may not touch them.
FIXED = ("name", "dataset", "method", "variant", "deviation", "labels", "stand_in", "encoder")
_KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}


def with_overrides(settings: Settings, overrides: dict) -> Settings:
    """`settings` with some of them replaced. Values may be text, as they come from --set.

    Raises ConfigError, which names the setting, its type and what was given.
    """
    types = {f.name: type(getattr(settings, f.name)) for f in fields(Settings)}
    types = {name: kind for name, kind in types.items() if name not in FIXED}
    typed = {}
    for key, value in overrides.items():
        if key not in types:
            raise ConfigError(f"no setting {str(key)[:60]!r}: choose from {', '.join(types)}")
        try:
            typed[key] = _as_type(types[key], str(value))
        except ValueError:
            kind = _KINDS[types[key]]
            raise ConfigError(f"{key} takes {kind}, not {str(value)[:60]!r}") from None
    return replace(settings, **typed)


def _as_type(kind: type, text: str):
    if kind is bool:
        return bool(("false", "true").index(text.lower()))  # ValueError for another word
    number = kind(text)
    if kind is float and not abs(number) < float("inf"):
        raise ValueError
    return number
