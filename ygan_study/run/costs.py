"""How much jobs cost beside each other, from the images that they see and the size of the networks.

Nothing is measured: a machine's speed shows once the first job is done.
"""

from ygan_study.methods import method_of
from ygan_study.plan.jobs import Job
from ygan_study.plan.settings import Settings

# About how many images a class has, and the share that is trained on.
FULL = {"mnist": 7000, "fmnist": 7000, "color_mnist": 7000, "cifar10": 6000, "plantvillage": 950}
STARTER = {"mnist": 1000, "fmnist": 1000, "color_mnist": 1000, "cifar10": 500, "plantvillage": 120}
IMAGES = {"full": FULL, "starter": STARTER}
TRAINED_ON = 0.8 * 0.95


def images_seen(settings: Settings) -> float:
    """About how many images a training sees, over all epochs."""
    per_class = settings.images_per_class or IMAGES[settings.source][settings.dataset]
    classes = 10 if settings.dataset == "plantvillage" else 9
    epochs = settings.epochs if method_of(settings).trains else 1
    return per_class * classes * TRAINED_ON * epochs


def cost(job: Job) -> float:
    """What a job costs, in a unit of its own: images times filters times pixels."""
    s = job.config
    return images_seen(s) * (s.width * s.image_size) ** 2
