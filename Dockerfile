# One image for web, worker, scheduler and migrate; the arguments are a command of `headway`.
#   docker build -t headway .

FROM python:3.13-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
RUN python3 -m venv /opt/headway
WORKDIR /src
COPY requirements.lock requirements-dev.lock ./
RUN --mount=type=cache,target=/root/.cache/pip \
    /opt/headway/bin/pip install --no-deps --require-hashes -r requirements.lock
# `--build-arg OTEL=yes`: what sends traces to a collector (docs/running/monitoring.md).
ARG OTEL
RUN --mount=type=cache,target=/root/.cache/pip \
    test -z "$OTEL" || { \
    awk '/^[a-z]/ { keep = /^(opentelemetry-|googleapis-common-protos==|protobuf==)/ } keep' requirements-dev.lock > otel.lock \
    && /opt/headway/bin/pip install --no-deps --require-hashes -r otel.lock; }
# Build tools of the wheel, at the versions of the lock file; they are not installed into /opt/headway.
RUN --mount=type=cache,target=/root/.cache/pip \
    awk '/^[a-z]/ { keep = /^(hatchling|packaging|pathspec|pluggy|trove-classifiers)==/ } keep' requirements-dev.lock > build.lock \
    && python3 -m venv /opt/build \
    && /opt/build/bin/pip install --no-deps --require-hashes -r build.lock
COPY . .
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --no-index --wheel-dir /wheels . \
    && /opt/headway/bin/pip install --no-deps --no-index /wheels/*.whl \
    && /opt/headway/bin/pip check

FROM python:3.13-slim
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        ca-certificates docker-buildx docker-cli git git-lfs openssh-client \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/headway /opt/headway
ENV PATH=/opt/headway/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
LABEL org.opencontainers.image.title="headway" org.opencontainers.image.licenses="Apache-2.0"
EXPOSE 8080
ENTRYPOINT ["headway"]
CMD ["--help"]
