"""The eight baselines of Tables 1-4 and the floors beneath them: one file each, one interface (`base.Baseline`)."""

from ygan_study.methods.arnet import ARNet
from ygan_study.methods.f_anogan import FAnoGAN
from ygan_study.methods.ganomaly import GANomaly
from ygan_study.methods.knn import FeatureKNN, PixelKNN
from ygan_study.methods.ocgan import OCGAN
from ygan_study.methods.p_net import PNet
from ygan_study.methods.padim import PaDiM
from ygan_study.methods.patch_svdd import PatchSVDD
from ygan_study.methods.rival import Baseline
from ygan_study.methods.skip_ganomaly import SkipGANomaly

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
