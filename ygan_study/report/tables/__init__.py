"""Tables of the evidence, functions of the rows of runs.csv. They train nothing.

A table holds every number; `render` shows what a reader reads.
"""

from ygan_study.report.tables import benchmarks, beyond, claims, networks, public_code
from ygan_study.report.view import View

PARTS = (claims, networks, benchmarks, beyond, public_code)
TABLES: dict[str, View] = {name: view for part in PARTS for name, view in part.TABLES.items()}
