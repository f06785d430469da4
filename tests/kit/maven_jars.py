"""Java programs and libraries for tests, fetched once into this checkout by Maven.

Two test runs may want the same one at the same moment: one fetches under a lock, into a folder that gets its name only
when it is complete, and the other finds it there.
"""

import fcntl
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

BUILD = Path(__file__).parents[2] / ".build"


class JavaUnavailable(Exception):
    """This machine cannot run it; the message says what is missing and what to do."""


def do_without(what: str, error: JavaUnavailable) -> NoReturn:
    """Skip the test that wants it; where TEST_REQUIRE_KAFKA is set, nothing that it needs may be missing."""
    if os.environ.get("TEST_REQUIRE_KAFKA") == "1":
        pytest.fail(f"TEST_REQUIRE_KAFKA is set, and there is {what}: {error}")
    pytest.skip(f"{what}: {error}")


@dataclass(frozen=True, slots=True)
class Jars:
    """One thing to fetch.

    Attributes:
        title: what people call it.
        name: its folder in `.build`.
        artifacts: Maven's coordinates, `group:artifact:version`; what they need comes with them.
    """

    title: str
    name: str
    artifacts: tuple[str, ...]

    def folder(self) -> Path:
        """The folder with every jar, fetched if it is not there.

        Raises:
            JavaUnavailable: it has to be fetched, and cannot be.
        """
        jars = BUILD / self.name
        if jars.is_dir():
            return jars
        maven = shutil.which("mvn")
        if maven is None:
            raise JavaUnavailable(f"no `mvn` on the PATH to fetch {self.title} with")
        BUILD.mkdir(exist_ok=True)
        with (BUILD / f"{self.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not jars.is_dir():
                self._fetch(maven, jars)
        return jars

    def _fetch(self, maven: str, jars: Path) -> None:
        with tempfile.TemporaryDirectory(dir=BUILD, prefix=f"{self.name}-fetch-") as folder:
            (Path(folder) / "pom.xml").write_text(self._project(), encoding="utf-8")
            run = subprocess.run(
                [maven, "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=jars"],
                cwd=folder,
                capture_output=True,
                text=True,
                check=False,
                stdin=subprocess.DEVNULL,
                env={**os.environ, "MAVEN_OPTS": "-XX:TieredStopAtLevel=1"},
            )
            if run.returncode != 0:
                tail = "\n".join((run.stdout + run.stderr).strip().splitlines()[-8:])
                raise JavaUnavailable(f"Maven could not fetch {self.title}:\n{tail}")
            (Path(folder) / "jars").rename(jars)

    def _project(self) -> str:
        wanted = "".join(
            f"<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>"
            f"<version>{version}</version></dependency>"
            for group, artifact, version in (each.split(":") for each in self.artifacts)
        )
        return (
            '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
            "<groupId>headrace</groupId><artifactId>tests</artifactId><version>1</version>"
            f"<dependencies>{wanted}</dependencies></project>\n"
        )


def require_java(title: str, least: int) -> str:
    """The `java` to run.

    Raises:
        JavaUnavailable: there is none, or it is older than *title* wants.
    """
    java = shutil.which("java")
    if java is None:
        raise JavaUnavailable(f"no `java` on the PATH ({title} wants {least} or later)")
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    quoted = said.partition('"')[2].partition('"')[0]
    major = quoted.split(".", maxsplit=1)[0].split("-", maxsplit=1)[0]
    if not major.isdigit() or int(major) < least:
        raise JavaUnavailable(f"`java` is version {quoted or 'unknown'}, {title} wants {least} or later")
    return java


KAFKA = Jars(
    "Apache Kafka", "kafka-4.3.0", ("org.apache.kafka:kafka_2.13:4.3.0", "org.slf4j:slf4j-simple:1.7.36")
)
AVRO = Jars("Apache Avro for Java", "avro-1.12.0", ("org.apache.avro:avro:1.12.0",))
JAVA_FOR_KAFKA = 17
JAVA_FOR_AVRO = 11
"""Java runs a source file by itself since 11."""
