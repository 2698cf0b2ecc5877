"""GANomaly: Akcay, Atapour-Abarghouei and Breckon, "GANomaly: semi-supervised anomaly detection via
adversarial training" (ACCV 2018).

x --E--> z --De--> x_hat --E_hat--> z_hat;  Ds tells x from x_hat;  score = mean (z - z_hat)^2

Written from the paper, which is for 32 px: nothing is adapted, and at a larger power of two each
network has more stages. The networks are the authors' DCGAN, not those of `ygan_core.model`: batch
norm comes before the activation, and the first convolution has none. Left out is what the authors'
public code adds: it scales the scores to [0, 1] over the test set, keeps the epoch that is best
there, scores with batch statistics, and restarts Ds where its loss falls below 1e-5.
"""

from torch import Tensor

from ygan_core import losses
from ygan_core.model import dcgan_init
from ygan_study.methods.baseline import Baseline, Schedule, adam, decoder, descend, encoder

LATENT = 100
W_ADV, W_CON, W_ENC = 1.0, 50.0, 1.0


class GANomaly(Baseline):
    """Encoder, decoder, encoder; the score compares the two latents (section 3.2 of its paper)."""

    title, kind = "GANomaly", "RB"
    authors = Schedule(15 * 45_000, "samet-akcay/ganomaly: niter 15, CIFAR10 without one class")

    def prepare(self, images: Tensor) -> None:
        (channels, size), width = images.shape[1:3], self.config.width
        self.E, self.E_hat = (encoder(channels, size, width, LATENT) for _ in range(2))
        self.De = decoder(channels, size, width, LATENT)
        self.Ds = encoder(channels, size, width, 1)
        self.apply(dcgan_init)
        self.optimisers = {
            "G": adam(2e-4, 0.5, 0.999, self.E, self.De, self.E_hat),
            "Ds": adam(2e-4, 0.5, 0.999, self.Ds),
        }

    def latents(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x (B, C, S, S) -> z (B, 100), x_hat like x, z_hat (B, 100)."""
        z = self.E(x)
        x_hat = self.De(z)
        return z, x_hat, self.E_hat(x_hat)

    def step(self, x: Tensor, p: float) -> dict[str, Tensor]:
        z, x_hat, z_hat = self.latents(x)
        f_x, f_x_hat = self.Ds[0](x), self.Ds[0](x_hat)
        terms = {
            "L_adv": losses.L_adv(f_x, f_x_hat),
            "L_con": losses.L_rec(x, x_hat),
            "L_enc": (z - z_hat).square().mean(),
            "L_bce": losses.L_bce(self.Ds[1:](f_x), self.Ds[1:](f_x_hat)),
        }
        L_G = W_ADV * terms["L_adv"] + W_CON * terms["L_con"] + W_ENC * terms["L_enc"]
        # Ds is updated last, so it reads x and x_hat once for both losses
        descend(self.optimisers["G"], L_G, retain_graph=True)
        descend(self.optimisers["Ds"], terms["L_bce"] / 2)
        return terms

    def score_batch(self, x: Tensor) -> Tensor:
        z, _, z_hat = self.latents(x)
        return (z - z_hat).square().mean(dim=1)
