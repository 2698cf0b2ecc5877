"""Labels made without labels (section 6.3, Table 6): see `ygan_core.weak_labels`, where the detector has them from, too."""

from ygan_core.weak_labels import CLUSTERS, FORMS, WeakLabels, cluster, imagenet_features, purity, weak_labels

__all__ = ["CLUSTERS", "FORMS", "WeakLabels", "cluster", "imagenet_features", "purity", "weak_labels"]
