"""Y-GAN (Ivanovska & Struc): the paper in code. Read model, losses, scores and train with the paper beside them."""

__version__ = "0.1.0"
