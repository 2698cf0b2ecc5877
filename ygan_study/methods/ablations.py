"""Section 6.2's ablations, background only, and the Classifier control, as changes to a config. Adding one is one entry."""

from __future__ import annotations

from dataclasses import replace

from ygan_core.config import CLASSIFIER, CONFIGURATIONS, Config, ConfigError

ABLATIONS = {  # Table 5
    "A1": dict(lambda_5=0.0),  # without L_con
    "A2": dict(lambda_4=0.0),  # without L_r
    "A3": dict(lambda_4=0.0, lambda_5=0.0),  # without both
    "B1": dict(latents="split"),  # one encoder, its latent of 2d cut in two
    "B2": dict(
        latents="single", lambda_4=0.0, lambda_5=0.0
    ),  # one encoder, one latent of d, given to D and to C
    "B3": dict(
        latents="single", lambda_3=0.0, lambda_4=0.0, lambda_5=0.0, score="s_x"
    ),  # B2 without C
    "B4": dict(lambda_2=0.0, lambda_6=0.0),  # without Ds
}
VARIANTS = {
    "full": {},
    **ABLATIONS,
    "background_only": dict(
        pixels="background"
    ),  # not the paper's: what the background alone gives away, beside Table 4
}


def variant(config: Config, name: str) -> Config:
    """`config` as the variant `name` of VARIANTS. Raises ConfigError for a name that does not exist."""
    if name not in VARIANTS:
        raise ConfigError(f"no variant {name!r}: choose from {', '.join(VARIANTS)}")
    return replace(config, variant=name, **VARIANTS[name])


def classifier(config: Config) -> Config:
    """`config` as the Classifier control: the same data and the same score."""
    return replace(config, **CLASSIFIER)


def configuration(config: Config) -> str:
    """Its configuration's label, without the seeds, and what its variant or method changes: those have names of their own."""
    own = replace(Config(), **CONFIGURATIONS[config.name])
    changes = {**VARIANTS[config.variant], **(CLASSIFIER if config.method == "classifier" else {})}
    aside = {key: getattr(own, key) for key in ("seed", "split_seed", "deviation", *changes)}
    return replace(config, **aside).label
