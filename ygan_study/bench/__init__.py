"""What Y-GAN costs on this machine: `python -m ygan_study benchmark`.

Our training is compared with a plain loop of the same equations, and with a matrix product on the same machine.
The runs that are compared run in turns, because other programs may slow the machine for a while: then they slow every run.
A figure is the median over the turns; the lowest and the highest turn stand next to it.
A ratio is formed within a turn, and the table gives the median of these ratios.

`report` runs everything. `training`, `inference`, `cost`, `breakdown`, `tried` and `side_by_side` make one table each.
`authors` is a command of its own: it compares `PublicCode` with the authors' public code.
"""

from ygan_study.bench.report import TABLES, benchmark

__all__ = ["TABLES", "benchmark"]
