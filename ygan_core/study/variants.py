"""Section 6.2's ablations and the Classifier control, as changes to a config. Adding one is one entry."""

from __future__ import annotations

from dataclasses import replace

from ygan_core.config import CONFIGURATIONS, Config, ConfigError
from ygan_core.study.departures import DEPARTURES

VARIANTS = {
    "full": {},
    "A1": dict(lambda_5=0.0),  # without L_con
    "A2": dict(lambda_4=0.0),  # without L_r
    "A3": dict(lambda_4=0.0, lambda_5=0.0),  # without both
    "B1": dict(latents="split"),  # one encoder, its latent of 2d cut in two
    "B2": dict(latents="single", lambda_4=0.0, lambda_5=0.0),  # one encoder, one latent of d, given to D and to C
    "B3": dict(latents="single", lambda_3=0.0, lambda_4=0.0, lambda_5=0.0, score="s_x"),  # B2 without C
    "B4": dict(lambda_2=0.0, lambda_6=0.0),  # without Ds
    "border": dict(pixels="border"),  # not the paper's: what the background alone gives away, beside Table 4
    **{name: {} for name in DEPARTURES},  # of the authors' public code: how a step is made, not what is in the config
}
ABLATIONS = ("A1", "A2", "A3", "B1", "B2", "B3", "B4")  # Table 5

# E_s + C, cross-entropy alone: what is left when all that is Y-GAN's own is taken away. Missing from the paper.
CLASSIFIER = dict(latents="semantic", lambda_1=0.0, lambda_2=0.0, lambda_4=0.0, lambda_5=0.0, lambda_6=0.0)


def variant(config: Config, name: str) -> Config:
    """`config` as the variant `name` of VARIANTS. Raises ConfigError for a name that does not exist."""
    if name not in VARIANTS:
        raise ConfigError(f"no variant {name!r}: choose from {', '.join(VARIANTS)}")
    return replace(config, variant=name, **VARIANTS[name])


def classifier(config: Config) -> Config:
    """`config` as the Classifier control: the same data, epochs and score."""
    return replace(config, method="classifier", **CLASSIFIER)


def configuration(config: Config) -> str:
    """Its configuration's label, without the seed, and what its variant or method changes: those have names of their own."""
    own = replace(Config(), **CONFIGURATIONS[config.name])
    changes = {**VARIANTS[config.variant], **(CLASSIFIER if config.method == "classifier" else {})}
    return replace(config, seed=own.seed, **{key: getattr(own, key) for key in changes}).label
