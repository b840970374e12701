"""server/sink/kafka/client/librdkafka.h says the same as librdkafka's own header, where that is installed."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

OURS: Final = Path(__file__).parents[5] / "server" / "sink" / "kafka" / "client" / "librdkafka.h"
THEIRS: Final = Path("/usr/include/librdkafka/rdkafka.h")  # Debian: librdkafka-dev
PARTS: Final = {
    "rd_kafka_message_t": ("err", "rkt", "partition", "payload", "len", "key", "key_len", "offset", "_private"),
    "struct rd_kafka_metadata": ("broker_cnt", "topic_cnt", "topics"),
    "struct rd_kafka_metadata_topic": ("topic", "partition_cnt", "err"),
}


def said_by(header: Path, directory: Path) -> list[str]:
    """What a program that includes this header says of the numbers and layouts that we use."""
    numbers = re.findall(r"\b(RD_KAFKA_[A-Z_]+) =", OURS.read_text())
    lines = [f'printf("{name} %d\\n", (int){name});' for name in numbers]
    for kind, members in PARTS.items():
        lines += [f'printf("{kind}.{name} %zu\\n", offsetof({kind}, {name}));' for name in members]
    source = directory / f"{header.stem}.c"
    source.write_text(
        f'#include <stddef.h>\n#include <stdio.h>\n#include "{header}"\nint main(void) {{{"".join(lines)}}}'
    )
    subprocess.run(["cc", "-w", source, "-o", source.with_suffix("")], check=True, timeout=60)
    return subprocess.run([source.with_suffix("")], check=True, capture_output=True, text=True).stdout.splitlines()


@pytest.mark.skipif(not THEIRS.is_file() or shutil.which("cc") is None, reason="librdkafka-dev or cc is not installed")
def test_numbers_and_layouts_are_librdkafkas(tmp_path: Path) -> None:
    ours = said_by(OURS, tmp_path)

    assert len(ours) > 25
    assert ours == said_by(THEIRS, tmp_path)


@pytest.mark.skipif(not THEIRS.is_file() or shutil.which("cc") is None, reason="librdkafka-dev or cc is not installed")
def test_functions_are_librdkafkas(tmp_path: Path) -> None:
    """Pointers of our types take their functions."""
    text = OURS.read_text()
    table = text[text.index("#define LIBRDKAFKA") : text.rindex("#endif")]
    kinds = re.findall(r"^typedef (?:void|int) on_\w+\(.*$", text, re.MULTILINE)
    source = tmp_path / "functions.c"
    check = "#define CHECK(result, name, arguments) result(*own_##name) arguments = name;\nLIBRDKAFKA(CHECK)\n"
    source.write_text(f'#include "{THEIRS}"\n' + "\n".join(kinds) + "\n" + table + check)
    done = subprocess.run(
        ["cc", "-fsyntax-only", "-Werror=incompatible-pointer-types", source],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
