"""The core of the integration tests on each PostgreSQL that is claimed: `make
test-versions`.

installations  where a major version is found on this machine
debian         a version that only Debian has, unpacked into .vectrue
core           which tests
results        what came of them, as a table
"""
