"""The eight rival systems of Tables 1-4 and the floors beneath them: one file each, one interface (`base.Baseline`)."""

from ygan_core.baselines.base import Baseline

RIVALS: dict[str, type[Baseline]] = {}
