"""Y-GAN on your own images: `YGANDetector().fit("leaves/train")`; `python -m ygan_detector` for the command line."""

__all__ = ["DetectorError", "YGANDetector"]


def __getattr__(name: str):
    if (
        name == "YGANDetector"
    ):  # looked up when it is asked for: Ctrl-C gives one line also while PyTorch is being imported
        from ygan_detector.estimator import YGANDetector

        return YGANDetector
    if name == "DetectorError":
        from ygan_detector.pixels import DetectorError

        return DetectorError
    raise AttributeError(f"module {__name__} has no attribute {name}")
