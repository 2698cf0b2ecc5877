"""The evidence. A notebook starts with `Study(profile)`."""

__all__ = ["Study"]


def __getattr__(name: str):
    if name == "Study":  # looked up when it is asked for: a worker that trains needs no figures
        from ygan_study.report.study import Study

        return Study
    raise AttributeError(f"module {__name__} has no attribute {name}")
