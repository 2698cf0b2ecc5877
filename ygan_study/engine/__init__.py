"""What makes training fast and durable, and is no part of the paper."""

from ygan_study.engine.trainer import Trainer

__all__ = ["Trainer"]
