"""A table of decoded records as columns: NumPy arrays by name, for programs and notebooks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from inspector.base.errors import UsageError
from inspector.model.notebook import html_table

if TYPE_CHECKING:
    from pandas import DataFrame

    from structs.columns import Array

SHOWN = 60
"""Rows that a notebook cell prints."""


@dataclass(frozen=True, eq=False)
class DataTable:
    """Columns of the same length by name. What a record does not have is masked (`numpy.ma`).

    >>> import numpy as np
    >>> table = DataTable("entries", {"index": np.array([24, 25]), "pda": np.ma.array([0, 64], mask=[True, False])})
    >>> len(table), table["index"].tolist()
    (2, [24, 25])
    >>> list(table.rows())
    [{'index': 24, 'pda': None}, {'index': 25, 'pda': 64}]
    """

    title: str
    columns: Mapping[str, Array]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def __getitem__(self, name: str) -> Array:
        """A column. Raises KeyError if there is none of that name."""
        return self.columns[name]

    def __repr__(self) -> str:
        return f"<{self.title}: {len(self)} rows of {', '.join(self.columns)}>"

    def rows(self) -> Iterator[dict[str, Any]]:
        """The rows, each by column name; None is what it does not have."""
        values = [column.tolist() for column in self.columns.values()]
        return (dict(zip(self.columns, row, strict=True)) for row in zip(*values, strict=True))

    def to_pandas(self) -> DataFrame:
        """As a pandas DataFrame; what is masked is NA. Raises UsageError if there is no pandas."""
        import numpy as np

        try:
            import pandas as pd
        except ImportError:
            raise UsageError("to_pandas needs pandas: `pip install pandas`") from None

        frame: dict[str, Any] = {}
        for name, column in self.columns.items():
            if isinstance(column, np.ma.MaskedArray) and column.dtype.kind in "iu":
                mask = np.ma.getmaskarray(column)
                frame[name] = pd.arrays.IntegerArray(column.filled(0), mask)
            else:
                frame[name] = column
        return pd.DataFrame(frame)

    def _repr_html_(self) -> str:
        """What a notebook cell prints."""
        rows = []
        for number, row in enumerate(self.rows()):
            if number == SHOWN:
                break
            rows.append(["" if value is None else str(value) for value in row.values()])
        more = f" (the first {SHOWN} of {len(self)} rows)" if len(self) > SHOWN else ""
        return html_table(list(self.columns), rows, self.title + more)
