"""Prose from results: what the paper says, what was found, whether they agree. It cannot contradict its numbers."""

from __future__ import annotations

from ygan_core.study.jobs import Run
from ygan_core.study.tables import CHANCE


def color_mnist_verdict(run: Run, profile: str) -> str:
    """Section 5's claims against one run, as Markdown. A claim holds where it holds for 0.9 of the images (of those that the
    digits' reader reads right when they are real); a latent leaks at twice chance.
    """
    m = run.metrics
    swaps = m["swap_digit"] >= 0.9 * m["read_digit"] and m["swap_colour"] >= 0.9
    read = m["probe_digit_z_s"] >= 0.9 and m["probe_colour_z_r"] >= 0.9
    leaks = [
        f"{what} from ${latent}$ at {m[f'probe_{what}_{latent}']:.2f} (chance {CHANCE[what]:.2f})"
        for what, latent in (("colour", "z_s"), ("digit", "z_r"))
        if m[f"probe_{what}_{latent}"] > 2 * CHANCE[what]
    ]
    lines = [
        f"**`{run.config.label}`, profile `{profile}`** (width {run.config.width}, {run.config.epochs} epochs, "
        f"{run.about['images']['train']:,} training images):",
        "",
        "- *Another image's $z_r$ changes the ground and leaves the digit*: "
        f"**{'agrees' if swaps else 'does not agree'}**. Of the hybrids, {m['swap_digit']:.0%} show the digit of the "
        f"$z_s$ image (the same reader reads {m['read_digit']:.0%} of the real images) "
        f"and {m['swap_colour']:.0%} the ground of the $z_r$ image.",
        f"- *$z_s$ separates the normal digits, $z_r$ the ten grounds*: **{'agrees' if read else 'does not agree'}**. "
        f"A linear classifier reads the digit off $z_s$ at {m['probe_digit_z_s']:.2f} "
        f"and the colour off $z_r$ at {m['probe_colour_z_r']:.2f}.",
        f"- *the two latents are mutually exclusive*: **{'does not agree' if leaks else 'agrees'}**. "
        + (f"A linear classifier still reads {' and '.join(leaks)}." if leaks else "Neither gives the other's content away."),
        f"- The held-out {run.config.held_out} is told from the normal digits with an AUC of **{m['auc']:.3f}** "
        "(the paper prints none for Color-MNIST).",
    ]
    return "\n".join(lines)
