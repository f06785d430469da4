"""Apache Avro for Java, fetched once into this checkout by Maven."""

import fcntl
import shutil
import subprocess
import tempfile
from pathlib import Path

VERSION = "1.12.0"
BUILD = Path(__file__).parents[2] / ".build"
JARS = BUILD / f"avro-{VERSION}"

_POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>headrace</groupId> <artifactId>avro-check</artifactId> <version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.avro</groupId> <artifactId>avro</artifactId> <version>{VERSION}</version>
    </dependency>
  </dependencies>
</project>
"""


class AvroUnavailable(Exception):
    """This machine cannot ask Avro's Java library; the message says what is missing."""


def java() -> str:
    """The `java` to run.

    Raises:
        AvroUnavailable: there is none.
    """
    found = shutil.which("java")
    if found is None:
        raise AvroUnavailable("no `java` on the PATH")
    return found


def avro_jars() -> Path:
    """The folder with Avro and all that it needs, fetched if it is not there.

    Raises:
        AvroUnavailable: it has to be fetched, and cannot be.
    """
    if JARS.is_dir():
        return JARS
    maven = shutil.which("mvn")
    if maven is None:
        raise AvroUnavailable("no `mvn` on the PATH to fetch Apache Avro with")
    BUILD.mkdir(exist_ok=True)
    with (BUILD / "avro.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not JARS.is_dir():
            _fetch(maven)
    return JARS


def _fetch(maven: str) -> None:
    """Fetch into a folder of another name, which gets its own when it is complete."""
    with tempfile.TemporaryDirectory(dir=BUILD, prefix="avro-fetch-") as folder:
        (Path(folder) / "pom.xml").write_text(_POM, encoding="utf-8")
        command = [maven, "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=jars"]
        run = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
        if run.returncode != 0:
            tail = "\n".join((run.stdout + run.stderr).strip().splitlines()[-8:])
            raise AvroUnavailable(f"Maven could not fetch Apache Avro {VERSION}:\n{tail}")
        (Path(folder) / "jars").rename(JARS)
