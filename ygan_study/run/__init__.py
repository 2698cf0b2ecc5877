"""Training jobs into their folders, and the store of what is done."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ygan_study.run.folder import Run


def pretrained(name: str) -> "Run":
    """Trained networks that come with the repository: `pretrained("cifar10-4-balanced").model()`.

    name: dataset, class held out and configuration of networks of the reference edition (of these
    cifar10-4-paper has the paper's own width and length); or the name of a folder of
    results/weights, whose two Color-MNIST networks are the tour's. The run has the facts of those
    unseen images that the starter pack has too; its metrics are of all test images. Raises
    DataError for a name that is not there, or a folder that was changed.
    """
    # Looked up when it is asked for: a worker that starts imports this package, but no PyTorch.
    from ygan_core.data.datasets import REPOSITORY, DataError
    from ygan_study.run.folder import PICTURED, Damaged, read

    results = REPOSITORY / "results"
    folders = [file.parent for file in results.glob(f"laptop/records/*/{PICTURED}")]
    known = {folder.name.rpartition("-s0-")[0]: folder for folder in sorted(folders)}
    known |= {file.parent.name: file.parent for file in results.glob(f"weights/*/{PICTURED}")}
    if name not in known:
        raise DataError(f"no networks {name!r} in {results}: there are {', '.join(known)}")
    try:
        return read(known[name]).pictured()
    except Damaged as error:
        raise DataError(str(error)) from None
