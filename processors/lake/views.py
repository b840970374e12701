"""The tables as views of DuckDB over the files of their newest snapshots.

Place: command → HERE → what the operator reads them with.
Rules: the files are those of one snapshot, so a view shows what was committed and never a part of it. It goes on
showing that snapshot until it is made again. A table without rows has a view without rows.
Not here: engines that read Iceberg themselves, which need no view.
"""

from __future__ import annotations

from typing import Any

from processors.lake.arrow import duckdb_type


def view_of(table: Any) -> str:
    """Return one statement."""
    name = _quoted(table.name()[-1])
    files = [task.file.file_path.removeprefix("file://") for task in table.scan().plan_files()]
    columns = ", ".join(_column(field) for field in table.schema().as_arrow())
    if not files:
        return f"CREATE OR REPLACE VIEW {name} AS SELECT {columns} WHERE false;\n"
    listed = ", ".join("'" + path.replace("'", "''") + "'" for path in files)
    typed = f"SELECT {columns} WHERE false"
    # The empty part gives columns that came later to files that were written before.
    return (
        f"CREATE OR REPLACE VIEW {name} AS {typed} UNION ALL BY NAME "
        f"SELECT * FROM read_parquet([{listed}], union_by_name = true, hive_partitioning = false);\n"
    )


def _column(field: Any) -> str:
    return f"CAST(NULL AS {duckdb_type(field.type)}) AS {_quoted(field.name)}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
