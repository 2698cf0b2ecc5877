"""What trained networks give: probes and swaps (section 5), and the AUC by anomaly score (6.3)."""

import pandas as pd

from ygan_study.measure.numbers import SCORES
from ygan_study.methods import METHODS
from ygan_study.report.printed import CHANCE
from ygan_study.report.render import NOT_BLIND
from ygan_study.report.rows import REAL, TITLES, trainings_of
from ygan_study.report.tables import shared
from ygan_study.report.view import View, selected

BY = ["dataset", "name"]
AUC = "AUC (Eq. 12)"
PROBES = {"probe": "", "unit": ", unit length"}  # standardised latents, and of unit length
COLUMNS = {
    f"{probe}_{what}_{latent}": f"{what} from {latent}{suffix}"
    for latent in ("z_s", "z_r")
    for what in ("digit", "colour")
    for probe, suffix in PROBES.items()
}
SWAPS = {"swap_digit": "swap keeps digit", "swap_colour": "swap takes colour"}
# The choice of `balanced` asked for 0.8 or more of both swaps, so they are not blind.
COLUMNS |= {"read_digit": "digit read from real images", **SWAPS}
COLUMNS |= {"normal_accuracy": "accuracy of C", "auc": AUC}


def color_mnist_probes(rows: pd.DataFrame) -> pd.DataFrame:
    """What a linear classifier reads from each latent of held-back images, and what hybrids D(z_s,
    z_r') show.

    Disentangled means: the digit from z_s and not from z_r, the colour from z_r and not from z_s.
    """
    trainings = trainings_of(rows, metrics=COLUMNS)  # a record may lack its probes
    groups = trainings.groupby("configuration", sort=False)
    table = groups[list(COLUMNS)].mean().rename(columns=COLUMNS)
    table = table.join(shared.details(trainings, "configuration")[["width", "epochs"]])
    table = table.join(shared.other_weights(rows, "configuration", AUC)).astype(object)
    table["seeds"] = groups.size()
    chosen = groups["key"].first().map(lambda key: bool(METHODS[key].chosen_on))
    table[NOT_BLIND] = chosen.map({True: ", ".join([*SWAPS.values(), AUC]), False: ""})
    table.loc["chance"] = {name: CHANCE[_guessed(metric)] for metric, name in COLUMNS.items()}
    table.attrs["shown"] = list(COLUMNS.values())
    return table


def _guessed(metric: str) -> str:
    """What has to be guessed: the AUC, the colour or the digit."""
    return "AUC" if metric == "auc" else "colour" if "colour" in metric else "digit"


def scores(rows: pd.DataFrame) -> pd.DataFrame:
    """AUC of each anomaly score of the same networks, means over the held-out classes: Eq. 12 to
    18, then post-hoc scores.

    The plain classifier has the scores that read z_s and C alone.
    """
    trainings = trainings_of(rows, metrics=[f"auc_{score}" for score in SCORES])
    columns = {f"auc_{score}": score for score in SCORES}
    by_class = trainings.groupby([*BY, "held_out"], sort=False)[list(columns)].mean()
    table = by_class.groupby(BY, sort=False).mean().rename(columns=columns)
    groups = trainings.groupby(BY, sort=False)
    table = table.assign(n=groups["held_out"].nunique(), trainings=groups.size())
    table = table.join(shared.details(trainings, BY)["weights"])
    table[NOT_BLIND] = groups[list(trainings)].apply(shared.not_blind)
    table.attrs = {"shown": list(SCORES), "best_in_row": list(SCORES), "marked": ["s"]}
    return table.rename(TITLES, level="dataset").rename_axis(index={"name": "method"})


BOTH = selected(
    dataset=REAL, method=("ygan", "classifier"), group=("classifier", "balanced", "paper")
)
COLOR_MNIST = selected(group="color_mnist")
TABLES = {
    "color_mnist_probes": View(color_mnist_probes, COLOR_MNIST, "Color-MNIST: probes and swaps"),
    "scores": View(scores, BOTH, "AUC by anomaly score"),
}
