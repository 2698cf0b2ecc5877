"""How settings were chosen, on validation: `balanced`, the classifiers, the averaged weights.

The rules were written down beforehand; results/search.csv is the log. A reported training holds out
one class. Here a second class is held out of the normal ones and stands in for the anomaly
(`Cell.stand_in`). The reported class is in no part, and no image of its test set is seen
(`images.validation`). The stand-ins are normal in other reported trainings, which are marked
(`Method.chosen_on`). Starter pack, width 16, EPOCHS, one seed, four
datasets, two stand-ins; AUC is that of Eq. 12 with averaged weights, in the mean over these eight
trainings.

- `balanced`: among the candidates whose hybrids on Color-MNIST show the right digit and the right
  background in at least 0.8 of the cases, the one with the highest AUC.
- `classifier`: the candidate with the highest AUC.
- `strong` (notebook 11): the candidate with the highest AUC on CIFAR10, with all the data, width 16
  and five epochs, since its recipe was made for as many images. `base` is the published recipe in
  batches of 128 instead of 1,024, without label smoothing, Lookahead, or more than two views of a
  test image. The learning rate of C and the batch size were chosen before, in trials of four epochs
  with stand-in 7.
- `whitened` (notebook 11), Y-GAN on the encoder of `strong`: as for `strong`, in four epochs. First
  each change alone; then all changes together that are better than `base` with both stand-ins.
  `base` has the loss weights of `balanced` divided by 50. The weight of L_r was added after the
  rest of this search; lambda_4 = 0 shows what L_r costs, but is no candidate, since it leaves the
  classes in z_r.
- The averaged weights: among three spans, and running statistics that are averaged or estimated
  again, the one with the highest AUC, in the mean over `base` of Y-GAN and `lr 0.001` of the
  classifier.

Each choice was then repeated with each stand-in alone. A reported class that stood in is free of
the choice only where the other stand-in alone gives the same choice. The candidates of `balanced`
lie around a setting that had been picked by the AUC of Color-MNIST 0 and MNIST 9 before this
project, so these two are marked wherever `balanced` is reported. Three more candidates (lambda_1 =
1; the paper's weights at two learning rates) were dropped before training, for time.
"""

EPOCHS = {"mnist": 7, "fmnist": 7, "cifar10": 14, "color_mnist": 12}
HELD_OUT = {"mnist": 4, "fmnist": 4, "cifar10": 4, "color_mnist": 0}  # reported; in no part here
STAND_INS = (7, 1)

BASE = dict(lambda_1=10.0, lambda_2=1.0, lambda_3=10.0, lambda_4=5.0, lambda_5=10.0, lambda_6=1.0)
BASE |= dict(ramp_con=True, lr=1e-3)

YGAN = {
    "base": BASE,
    "cosine": BASE | dict(lr_decay="cosine"),
    "lr 5e-4": BASE | dict(lr=5e-4),
    "lr 2e-3, cosine": BASE | dict(lr=2e-3, lr_decay="cosine"),
    "lambda_3 50": BASE | dict(lambda_3=50.0),
    "lambda_5 1": BASE | dict(lambda_5=1.0),
    "lambda_5 50": BASE | dict(lambda_5=50.0),
    "lambda_4 1": BASE | dict(lambda_4=1.0),
    "lambda_1 50": BASE | dict(lambda_1=50.0),
    "no ramp": BASE | dict(ramp_con=False),
}
CLASSIFIER = {
    f"lr {lr:g}{', cosine' * (decay == 'cosine')}": dict(lr=lr, lr_decay=decay)
    for lr in (2e-4, 5e-4, 1e-3, 2e-3)
    for decay in ("none", "cosine")
}

STRONG_ON = "cifar10"
STRONG_WIDTH, STRONG_EPOCHS = 16, 5
HARD = dict(label_smoothing=0.0)
STRONG = {
    "base": HARD,
    "label smoothing 0.2": dict(label_smoothing=0.2),  # theirs; said to harm detection
    "batch 512": HARD | dict(batch_size=512, lr=0.75, weight_decay=1e-3),
    "adam": HARD | dict(optimiser="adam", lr=2e-3, beta_2=0.99, batch_size=512),
}

WHITENED_EPOCHS = 4
WHITENED_BASE = dict(
    lambda_1=0.2, lambda_2=0.02, lambda_4=0.1, lambda_5=0.2, ramp_con=True, consistency="latents"
)
TOGETHER = dict(lambda_1=2.0, consistency="labels", ramp_con=False)
WHITENED = {
    "base": WHITENED_BASE,
    "L_con, z_s held": WHITENED_BASE | dict(consistency="detached"),
    "L_con, contrastive": WHITENED_BASE | dict(consistency="contrastive"),
    "L_con of the logits": WHITENED_BASE | dict(consistency="logits"),
    "hybrids as images of their class": WHITENED_BASE | dict(consistency="labels"),
    "lambda_1 2": WHITENED_BASE | dict(lambda_1=2.0),
    "lambda_5 2": WHITENED_BASE | dict(lambda_5=2.0),
    "lambda_5 0": WHITENED_BASE | dict(lambda_5=0.0),
    "no ramp": WHITENED_BASE | dict(ramp_con=False),
    "lambda_4 0.01": WHITENED_BASE | dict(lambda_4=0.01),
    "lambda_4 0": WHITENED_BASE | dict(lambda_4=0.0),
    # all of the first nine that were better than `base` with both stand-ins
    "together": WHITENED_BASE | TOGETHER,
    "together, lambda_4 0.01": WHITENED_BASE | TOGETHER | dict(lambda_4=0.01),
}
NO_CHOICE = ("lambda_4 0",)

SPANS = {f"average {span:g}": dict(average=span) for span in (0.05, 0.2)}  # beside the default, 0.1
YGAN |= {f"base, {name}": BASE | span for name, span in SPANS.items()}
CLASSIFIER |= {f"lr 0.001, {name}": CLASSIFIER["lr 0.001"] | span for name, span in SPANS.items()}
AVERAGED_AT = {"ygan": "base", "classifier": "lr 0.001"}  # where the averaged weights are chosen
