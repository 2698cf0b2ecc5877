"""The eight baselines of Tables 1-4 and the floors beneath them: one file each, one interface (`base.Baseline`)."""

from ygan_core.baselines.arnet import ARNet
from ygan_core.baselines.base import Baseline
from ygan_core.baselines.f_anogan import FAnoGAN
from ygan_core.baselines.ganomaly import GANomaly
from ygan_core.baselines.knn import FeatureKNN, PixelKNN
from ygan_core.baselines.ocgan import OCGAN
from ygan_core.baselines.p_net import PNet
from ygan_core.baselines.padim import PaDiM
from ygan_core.baselines.patch_svdd import PatchSVDD
from ygan_core.baselines.skip_ganomaly import SkipGANomaly

BASELINES: dict[str, type[Baseline]] = {
    "ganomaly": GANomaly,
    "skip_ganomaly": SkipGANomaly,
    "ocgan": OCGAN,
    "f_anogan": FAnoGAN,
    "p_net": PNet,
    "arnet": ARNet,
    "patch_svdd": PatchSVDD,
    "padim": PaDiM,
    "knn_pixels": PixelKNN,
    "knn_features": FeatureKNN,
}
