"""Apache Kafka itself, fetched once into this checkout by Maven.

Two test runs may want it at the same moment: one fetches under a lock, into a folder that gets its name only
when it is complete, and the other finds it there.
"""

import fcntl
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

VERSION = "4.3.0"
BUILD = Path(__file__).parents[2] / ".build"
JARS = BUILD / f"kafka-{VERSION}"

_POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>headrace</groupId> <artifactId>broker</artifactId> <version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId> <artifactId>kafka_2.13</artifactId> <version>{VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.slf4j</groupId> <artifactId>slf4j-simple</artifactId> <version>1.7.36</version>
    </dependency>
  </dependencies>
</project>
"""


class BrokerUnavailable(Exception):
    """This machine cannot run a broker; the message says what is missing and what to do."""


def require_java() -> str:
    """The `java` to run.

    Raises:
        BrokerUnavailable: there is none, or it is too old for Kafka.
    """
    java = shutil.which("java")
    if java is None:
        raise BrokerUnavailable("no `java` on the PATH (Kafka wants 17 or later)")
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    quoted = said.partition('"')[2].partition('"')[0]
    major = quoted.split(".")[0].split("-")[0]
    if not major.isdigit() or int(major) < 17:
        raise BrokerUnavailable(f"`java` is version {quoted or 'unknown'}, Kafka {VERSION} wants 17 or later")
    return java


def kafka_jars() -> Path:
    """The folder with Kafka and all that it needs, fetched if it is not there.

    Raises:
        BrokerUnavailable: it has to be fetched, and cannot be.
    """
    if JARS.is_dir():
        return JARS
    maven = shutil.which("mvn")
    if maven is None:
        raise BrokerUnavailable("no `mvn` on the PATH to fetch Apache Kafka with")
    BUILD.mkdir(exist_ok=True)
    with (BUILD / "kafka.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not JARS.is_dir():
            _fetch(maven)
    return JARS


def _fetch(maven: str) -> None:
    with tempfile.TemporaryDirectory(dir=BUILD, prefix="kafka-fetch-") as folder:
        (Path(folder) / "pom.xml").write_text(_POM, encoding="utf-8")
        command = [maven, "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=jars"]
        run = subprocess.run(
            command,
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "MAVEN_OPTS": "-XX:TieredStopAtLevel=1"},
        )
        if run.returncode != 0:
            tail = "\n".join((run.stdout + run.stderr).strip().splitlines()[-8:])
            raise BrokerUnavailable(f"Maven could not fetch Apache Kafka {VERSION}:\n{tail}")
        (Path(folder) / "jars").rename(JARS)
