"""Y-GAN on your own images: `YGANDetector().fit("leaves/train")`, or `python -m ygan_detector`."""

from ygan_detector.messages import DetectorError

__all__ = ["DetectorError", "YGANDetector"]


def __getattr__(name: str):
    # Imported when asked for, so that Ctrl-C prints one line also while PyTorch is being imported.
    if name == "YGANDetector":
        from ygan_detector.estimator import YGANDetector

        return YGANDetector
    raise AttributeError(f"module {__name__} has no attribute {name}")
