# vectrue's command line. docker-compose.yml builds and uses it; alone:
#
#   docker build -t vectrue . && docker run --rm vectrue --help
#
# The settings come from VECTRUE_ variables, or from a file mounted at /app/vectrue.toml; models are kept in /models.
# PyTorch is most of the size: everything else is 0.7 GB. The build for CPUs is taken unless TORCH=default is given, which
# takes the one with CUDA, for a GPU (5.2 GB): docker build --build-arg TORCH=default -t vectrue .

FROM python:3.12-slim-bookworm AS build
ARG TORCH=cpu
WORKDIR /build
COPY pyproject.toml requirements.lock ./
COPY ops/docker/install.sh ops/docker/
# The build's own tools, by hash as well.
RUN awk '/^[a-zA-Z0-9]/ { keep = /^(uv|hatchling|packaging|pathspec|pluggy|trove-classifiers)==/ } keep' \
        requirements.lock >tools.lock \
    && pip install --no-cache-dir --no-deps --require-hashes -r tools.lock
RUN UV_NO_CACHE=1 UV_PYTHON_DOWNLOADS=never ops/docker/install.sh /opt/vectrue "$TORCH"
# After the dependencies, so that a change of the source does not fetch PyTorch again.
COPY README.md LICENSE ./
COPY schemas schemas
COPY connectors connectors
COPY streams streams
RUN python -m hatchling build -t wheel -d dist \
    && uv pip install --no-cache --python /opt/vectrue/bin/python --no-deps --compile-bytecode dist/*.whl

FROM python:3.12-slim-bookworm
# A named volume mounted at /models takes over its owner.
RUN useradd --create-home --uid 10001 vectrue && install -d -o vectrue -g vectrue /app /models
COPY --from=build /opt/vectrue /opt/vectrue
ENV PATH=/opt/vectrue/bin:$PATH \
    HF_HOME=/models \
    PYTHONUNBUFFERED=1
WORKDIR /app
USER 10001
ENTRYPOINT ["vectrue"]
CMD ["--help"]
