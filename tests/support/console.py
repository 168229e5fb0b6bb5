"""The console sessions of the documents, typed into one shell and held to what the
documents show.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.support.root import ROOT

_MARKER = "--- end of command"


def session(text: str) -> list[tuple[str, list[str]]]:
    """Commands of a document's console blocks, each with the lines it is said to print.

    A command goes on over the next line where its own ends in a backslash.
    """
    commands: list[tuple[str, list[str]]] = []
    for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL):
        for line in block.replace("\\\n", "").splitlines():
            if line.startswith("$ "):
                commands.append((line[2:], []))
            else:
                commands[-1][1].append(line)
    if not commands:
        raise ValueError("the document has no console block")
    return commands


def programs(text: str) -> dict[str, str]:
    """The Python blocks of a document whose first line is `# NAME.py`, by that name: a
    reader saves them as such.
    """
    blocks = re.findall(r"```python\n(# (\w+\.py)\n.*?)```", text, re.DOTALL)
    return {name: program for program, name in blocks}


def matches(expected: list[str], printed: str) -> bool:
    """Whether the printed text is as shown: `...` alone stands for any lines, within a
    line for any characters.

    Runs of spaces count as one, so that a table may be laid out differently.
    """
    pattern = ""
    for line in expected:
        if line.strip() == "...":
            pattern += r"(?:[^\n]*\n)*?"
            continue
        words = [re.escape(" ".join(part.split())) for part in line.split("...")]
        pattern += "[^\n]*".join(words) + r"[^\n]*\n"
    squeezed = "".join(" ".join(line.split()) + "\n" for line in printed.splitlines())
    return re.fullmatch(pattern, squeezed) is not None


def hold(
    documents: Sequence[Path], folder: Path, *, seconds: float, edit: Callable[[str], str] = str
) -> None:
    """Type every command of the documents into one shell in a fresh folder with the
    examples and vectrue.toml.

    The documents' own programs are there too.

    Args:
        documents: Markdown with console blocks, read as one text.
        folder: an empty folder.
        seconds: for all commands together.
        edit: changes the script where a person would wait.

    Raises:
        AssertionError: a command printed something else than the documents show, or
            failed.
    """
    shutil.copytree(ROOT / "examples", folder / "examples")
    shutil.copy(ROOT / "vectrue.toml", folder)
    text = "\n".join(document.read_text(encoding="utf-8") for document in documents)
    for name, program in programs(text).items():
        (folder / name).write_text(program, encoding="utf-8")
    commands = session(text)
    script = edit("".join(f"{command}\necho '{_MARKER}' $?\n" for command, _ in commands))
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "NO_COLOR": "1",
    }
    shell = ["bash", "-c", f"set -m\n{script}"]
    try:
        done = subprocess.run(
            shell,
            cwd=folder,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=seconds,
            check=False,
        )
    finally:
        vectrue = str(Path(sys.executable).with_name("vectrue"))
        subprocess.run([vectrue, "local", "reset", "--yes"], cwd=folder, check=True)
    assert "\x1b" not in done.stdout, f"what no terminal shows has escape sequences:\n{done.stdout}"
    blocks = done.stdout.split(_MARKER)
    assert len(blocks) == len(commands) + 1, done.stdout
    for number, ((command, expected), block) in enumerate(zip(commands, blocks, strict=False)):
        # All blocks but the first begin with the exit code of the command before.
        printed = block.split("\n", 1)[1] if number else block
        # without the worker's log
        shown = [line for line in printed.splitlines() if not line.startswith('{"')]
        assert matches(expected, "\n".join(shown)), f"$ {command}\n{printed}"
    codes = [block.split("\n", 1)[0].strip() for block in blocks[1:]]
    assert codes == ["0"] * len(commands), done.stdout
