"""Y-GAN (Ivanovska & Struc) in code: config, model, losses, scores, train, read in this order."""

__version__ = "0.1.0"
