""".github/workflows: read, because only the service can run them."""

import re
from typing import Any

import pytest
import yaml

from tests.support.root import ROOT

FOLDER = ROOT / ".github/workflows"
WORKFLOWS: dict[str, dict[Any, Any]] = {
    path.name: yaml.safe_load(path.read_text(encoding="utf-8"))
    for path in sorted(FOLDER.glob("*.yml"))
}
JOBS: list[tuple[str, str, dict[str, Any]]] = [
    (workflow, name, job)
    for workflow, document in WORKFLOWS.items()
    for name, job in document["jobs"].items()
]


def scripts(job: dict[str, Any]) -> list[str]:
    """The shell scripts of a job's steps."""
    return [step["run"] for step in job.get("steps", []) if "run" in step]


def test_continuous_integration_runs_what_a_developer_runs() -> None:
    """ci.yml runs `.ci/run`, which is `make test`, and nothing else."""
    (job,) = WORKFLOWS["ci.yml"]["jobs"].values()
    assert scripts(job) == [".ci/run"]
    assert "exec make test" in (ROOT / ".ci/run").read_text(encoding="utf-8")


def test_make_targets_of_workflows_exist() -> None:
    """Every `make <target>` of a workflow is a target of the Makefile."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    named = {
        target
        for _, _, job in JOBS
        for script in scripts(job)
        for target in re.findall(r"\bmake ([a-z]+)", script)
    }
    assert {"dist", "sbom"} <= named <= targets


def test_actions_are_pinned_by_a_version() -> None:
    """A branch or a major version may change under a release."""
    used = [step["uses"] for _, _, job in JOBS for step in job.get("steps", []) if "uses" in step]
    assert used
    assert [action for action in used if not re.fullmatch(r"[\w./-]+@v\d+\.\d+\.\d+", action)] == []


@pytest.mark.parametrize(("workflow", "name", "job"), JOBS)
def test_a_job_waits_for_jobs_that_exist(workflow: str, name: str, job: dict[str, Any]) -> None:
    """`needs` names a job of the same workflow."""
    awaited = job.get("needs", name)
    assert awaited in WORKFLOWS[workflow]["jobs"]


@pytest.mark.parametrize(("workflow", "name", "job"), JOBS)
def test_scripts_contain_no_expressions(workflow: str, name: str, job: dict[str, Any]) -> None:
    """An expression is pasted into the script before the shell reads it: values come
    through variables.
    """
    assert [script for script in scripts(job) if "${{" in script] == []


def test_only_the_jobs_that_publish_get_an_identity() -> None:
    """A test or a build that is taken over can sign and publish nothing."""
    holders = {name for _, name, job in JOBS if "id-token" in job.get("permissions", {})}
    assert holders == {"attest", "publish", "image"}
    assert WORKFLOWS["release.yml"]["permissions"] == {}
    assert WORKFLOWS["ci.yml"]["permissions"] == {"contents": "read"}


def test_nothing_is_published_untested() -> None:
    """Each job of the release waits, directly or not, for the tests."""
    jobs = WORKFLOWS["release.yml"]["jobs"]
    assert jobs["test"]["uses"] == "./.github/workflows/ci.yml"
    for name in jobs:
        step = name
        while step != "test":
            step = jobs[step]["needs"]
