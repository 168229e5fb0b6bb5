"""Defects in rights and surroundings: the HTTP server's bounds, what is installed, who
runs it, what errors say.
"""

from tests.mutants.defect import Defect

_BOUNDS = "tests/unit/streams/api/test_bounds.py"
_CONNECTIONS = "tests/unit/streams/api/test_connections.py"

_OF_THE_SERVER = (
    Defect(
        "an error for each of a request's texts",
        "streams/api/bodies.py",
        "max_length=MOST_INPUTS, fail_fast=True)",
        "max_length=MOST_INPUTS)",
        (f"{_BOUNDS}::test_every_list_of_a_request_is_bounded",),
    ),
    Defect(
        "a Host header that is taken as it comes",
        "streams/api/guard.py",
        '        if named is None or int((named[2] or ":0")[1:]) > _LARGEST_PORT:\n',
        "        if False:\n",
        (f"{_BOUNDS}::test_a_host_that_is_none_is_a_bad_request",),
    ),
    Defect(
        "headers that may take for ever",
        "streams/api/connections.py",
        "        if request is self._timed:\n",
        "        if request is None or request is self._timed:\n",
        (f"{_CONNECTIONS}::test_who_never_finishes_the_headers_is_cut[nothing]",),
    ),
    Defect(
        "connections without a bound",
        "streams/api/connections.py",
        "        if len(there) <= self.most:\n",
        "        if True:\n",
        (f"{_CONNECTIONS}::test_newcomers_take_the_place_of_those_who_wait_longest",),
    ),
)

_OF_WHAT_IS_INSTALLED = (
    Defect(
        "code in a model's folder that is run",
        "connectors/models/loading.py",
        "trust_remote_code=False",
        "trust_remote_code=True",
        ("tests/contract/test_model_code.py",),
    ),
    Defect(
        "a lowest version below which a folder's code is run",
        "pyproject.toml",
        '"sentence-transformers>=6"',
        '"sentence-transformers>=5.6.1"',
        (
            "tests/unit/project/test_floors.py::test_versions_below_which_a_promise_does_not_hold_are_refused",
        ),
    ),
)

_OF_WHO_RUNS_IT = (
    Defect(
        "workers of the compose file that are superusers",
        "docker-compose.yml",
        "user=vectrue password='${WORKER_PASSWORD:-vectrue-worker}'",
        "user=postgres password='${POSTGRES_PASSWORD:-vectrue}'",
        ("tests/unit/project/test_compose_settings.py::test_only_init_connects_as_a_superuser",),
    ),
    Defect(
        "a worker that asks for its user's name",
        "streams/worker/app.py",
        'f"vectrue-{os.getuid()}"',
        "f\"vectrue-{__import__('getpass').getuser()}\"",
        ("tests/unit/project/test_nameless.py::test_a_worker_needs_no_name",),
    ),
    Defect(
        "a lane joined wrongly that is taken for a wrong setting",
        "streams/worker/app.py",
        "            assert_never(lane)\n",
        "            from schemas.errors import ConfigurationError\n"
        '            raise ConfigurationError("a lane")\n',
        ("tests/unit/streams/worker/test_leaving.py::test_a_lane_that_is_joined_wrongly_is_a_bug",),
    ),
)

_OF_KAFKA_S_WORDS = (
    Defect(
        "a topic without a leader that is called unanswered",
        "connectors/kafka/dead_letters.py",
        "        if lost:\n",
        "        if False:\n",
        (
            "tests/unit/connectors/kafka/test_errors.py::test_each_thing_that_is_wrong_has_its_sentence",
        ),
    ),
    Defect(
        "a wrong password that is called silence",
        "connectors/kafka/errors.py",
        "    for one in (*told, problem):\n",
        "    for one in (problem,):\n",
        (
            "tests/unit/connectors/kafka/test_errors.py::test_each_thing_that_is_wrong_has_its_sentence",
        ),
    ),
    Defect(
        "a topic that may not be seen called missing",
        "connectors/kafka/topics.py",
        "        if errors.is_missing(problem):\n",
        "        if True:\n",
        (
            "tests/unit/connectors/kafka/test_errors.py::test_a_topic_that_we_may_not_see_is_not_missing",
        ),
    ),
)

OF_THE_SURROUNDINGS = (
    *_OF_THE_SERVER,
    *_OF_WHAT_IS_INSTALLED,
    *_OF_WHO_RUNS_IT,
    *_OF_KAFKA_S_WORDS,
)
