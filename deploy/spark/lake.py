"""Write streams from Kafka into Parquet by Spark, with the columns that `penstock lake` would write.

Place: `penstock lake --spark` → plan.json → HERE, under spark-submit; docs/LAKE.md has the command.
Rules: each run reads all events that there are (`availableNow`) and ends. How far a table was read is in its
checkpoint, and the list of its files in `_spark_metadata`: readers other than Spark read the folder only after a run
that ended well. Types are those of the plan and never those of events. Events that do not fit are kept in a table of
their own.
Not here: the columns (processors.lake.spark), duplicates, merging files.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as f

CORRUPT = "__corrupt"
PLACES = (
    "topic AS _topic",
    "concat(topic, '/', partition) AS _partition",
    "offset AS _offset",
    "timestamp AS _timestamp",
)


def records(spark: SparkSession, servers: str, topics: list[str]) -> DataFrame:
    """Return the records of topics as they are in Kafka."""
    reader = spark.readStream.format("kafka").option("kafka.bootstrap.servers", servers)
    # By a pattern, because a name that no topic has yet is an error otherwise.
    reader = reader.option("subscribePattern", "|".join(map(re.escape, topics))).option("startingOffsets", "earliest")
    return reader.load().selectExpr("CAST(value AS STRING) AS value", *PLACES)


def events(found: DataFrame, tables: list[dict[str, Any]]) -> list[tuple[str, DataFrame]]:
    """Return the rows of each table of one stream, and of the table of those that fit none."""
    meta = f.from_json("value", "STRUCT<`$schema`: STRING, meta: STRUCT<stream: STRING, domain: STRING>>")
    found = found.withColumn("head", meta).filter("NOT coalesce(head.meta.domain, '') = 'canary'")
    stream = tables[0]["stream"]
    whole = []
    is_fit: Column = f.lit(False)
    for table in tables:
        kind = table["read"].removesuffix(">") + f", `{CORRUPT}`: STRING>"
        options = {"mode": "PERMISSIVE", "columnNameOfCorruptRecord": CORRUPT}
        event = f.from_json("value", kind, options)
        is_of_table = (
            (f.col("head.meta.stream") == stream)
            & f.regexp_replace("head.$schema", r"^[a-z+]+://[^/]+", "").startswith(table["schemas"])
            & event.getField(CORRUPT).isNull()
        )
        is_own = f.coalesce(is_of_table, f.lit(False))
        rows = found.filter(is_own).withColumn("event", event.dropFields(CORRUPT).cast(table["write"]))
        whole.append((table["table"], rows.selectExpr("event.*", *map(_named, PLACES))))
        is_fit = is_fit | is_own
    rejected = found.filter(~is_fit).selectExpr("value", *map(_named, PLACES))
    return [*whole, (tables[0]["table"] + "__rejected", rejected)]


def _named(place: str) -> str:
    return place.rpartition(" ")[2]


def write(rows: DataFrame, root: Path, table: str) -> None:
    """Append rows to a table, and wait for the end."""
    hourly = rows.withColumn("hour", f.date_format("_timestamp", "yyyy-MM-dd-HH"))
    writer = hourly.writeStream.format("parquet").partitionBy("hour").trigger(availableNow=True)
    writer = writer.option("path", str(root / table)).option("checkpointLocation", str(root / "_checkpoints" / table))
    writer.start().awaitTermination()


def main() -> None:
    """Write every stream of the plan, one after another."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("plan", type=Path, help="the output of `penstock lake --spark`")
    parser.add_argument("--servers", required=True, help="bootstrap.servers of Kafka")
    parser.add_argument("--path", type=Path, required=True, help="directory of the tables and checkpoints")
    options = parser.parse_args()
    spark = SparkSession.builder.appName("penstock-lake").config("spark.sql.session.timeZone", "UTC").getOrCreate()
    by_stream: dict[str, list[dict[str, Any]]] = {}
    for table in json.loads(options.plan.read_bytes()):
        by_stream.setdefault(table["stream"], []).append(table)
    for tables in by_stream.values():
        for name, rows in events(records(spark, options.servers, tables[0]["topics"]), tables):
            write(rows, options.path, name)
    spark.stop()


if __name__ == "__main__":
    main()
