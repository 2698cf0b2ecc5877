"""The settings: the paper's value and its section where the text has one, else our choice."""

from dataclasses import dataclass
from typing import ClassVar

TERMS = ("L_rec", "L_adv", "L_s", "L_r", "L_con", "L_bce")  # weighted by lambda_1 to lambda_6


class ConfigError(ValueError):
    """A setting that cannot be used; the message is one line that says what to do."""


@dataclass(frozen=True)
class Config:
    """One training. Where the paper leaves a choice open, the comment names the choice made here.

    Raises ConfigError for a value that cannot be used.
    """

    # The networks (section 4.3)
    image_size: int = 32  # 4.2: MNIST and FMNIST are "re-scaled to 32 x 32"; PlantVillage has 256
    width: int = 64  # filters of the first convolution; the text gives none, DCGAN has 64
    d: int = 100  # z_s and z_r are in R^d
    hidden: int = 30  # "one hidden layer and 30 hidden units" in C
    latents: str = "dual"  # dual; or the ablations of section 6.2: split (B1), single (B2 and B3)

    # The objective: Eq. 10 and 11 with the weights of section 4.3. A term of weight 0 is left out.
    lambda_1: float = 50.0  # L_rec
    lambda_2: float = 1.0  # L_adv
    lambda_3: float = 1.0  # L_s
    lambda_4: float = 1.0  # L_r
    lambda_5: float = 50.0  # L_con
    lambda_6: float = 1.0  # L_bce

    # The training (section 4.3)
    lr: float = 2e-4
    beta_1: float = 0.5
    beta_2: float = 0.999
    batch_size: int = 64  # the text gives none; the last, partial batch is dropped
    epochs: int = 100  # 200 on PlantVillage
    augmentation: str = "none"  # or leaves, that of PlantVillage (4.2)
    seed: int = 0  # of the initial weights and of the order of the batches

    score: str = "s"  # the anomaly score: s (Eq. 12), or s_x (Eq. 13) where there is no C (6.2, B3)

    BOUNDS: ClassVar[dict[str, tuple[float, float]]] = {
        "image_size": (32, 1024),
        **dict.fromkeys(("width", "d", "hidden"), (1, 1024)),
        **dict.fromkeys((f"lambda_{i}" for i in range(1, 7)), (0, 1e6)),
        "lr": (1e-12, 1),
        **dict.fromkeys(("beta_1", "beta_2"), (0, 1 - 1e-9)),
        "batch_size": (2, 65_536),  # in a batch of one, L_con has nothing to shuffle (section 3.1)
        "epochs": (1, 99_999),
        "seed": (0, 2**32 - 1),
    }
    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {
        "latents": ("dual", "split", "single"),
        "augmentation": ("none", "leaves"),
        "score": ("s", "s_x"),
    }

    def __post_init__(self):
        for name, (low, high) in self.BOUNDS.items():
            if not low <= getattr(self, name) <= high:
                raise ConfigError(f"{name} is {getattr(self, name)}: choose {low:g} to {high:g}")
        for name, choices in self.CHOICES.items():
            if getattr(self, name) not in choices:
                raise ConfigError(f"{name} is {getattr(self, name)!r}: choose {', '.join(choices)}")
        if self.image_size & (self.image_size - 1):
            raise ConfigError(f"image_size is {self.image_size}: choose a power of two")
        if self.width * self.image_size > 2**15:
            raise ConfigError("width times image_size is over 32768: too large for any memory")
        if self.latents == "single" and (self.lambda_4 or self.lambda_5):
            raise ConfigError("without z_r there is no L_r, no L_con: set lambda_4, lambda_5 to 0")

    @property
    def weights(self) -> dict[str, float]:
        """The weight of each loss term: lambda_1 of L_rec, to lambda_6 of L_bce."""
        return {term: getattr(self, f"lambda_{i}") for i, term in enumerate(TERMS, start=1)}
