# The images of Lossline, a target for each: api, websocket, task-controller, worker-monitor, worker-controller, operations,
# worker (needs a model) and coastwind (has the example model). compose/compose.yaml builds them all.
#
# No secret is an argument or a layer: services read theirs from files at start. Processes run as an account without rights,
# and write below /var/lib/lossline only; workers also below /var/cache/lossline, where a volume for data of models is put.
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS base
ENV PATH=/opt/lossline/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    HOME=/var/lib/lossline \
    TMPDIR=/var/lib/lossline/tmp \
    OASIS_BASE_RUN_DIR=/var/lib/lossline/run \
    NUMBA_CACHE_DIR=/var/lib/lossline/kernels
RUN useradd --system --uid 10001 --user-group --home-dir /var/lib/lossline --shell /usr/sbin/nologin lossline \
 && install --directory --owner=lossline --group=lossline /var/lib/lossline /var/lib/lossline/tmp /var/lib/lossline/kernels
WORKDIR /build
COPY pyproject.toml constraints.txt ./

# What services need, then the services themselves, so that a change of ours installs nothing anew. The first has an empty
# lossline in it, which the second replaces.
FROM base AS services
ARG PIP_OPTIONS=
RUN --mount=type=bind,source=compose/wheels,target=/wheels --mount=type=cache,target=/root/.cache/pip \
    touch README.md && python3 -m venv /opt/lossline \
 && pip install ${PIP_OPTIONS} --find-links=/wheels --constraint=constraints.txt '.[api,worker-monitor,worker-controller,operations]'
RUN --mount=type=bind,target=/source,rw \
    pip install ${PIP_OPTIONS} --find-links=/source/compose/wheels --no-deps --force-reinstall --no-cache-dir /source
COPY compose/healthy.sh /usr/local/bin/healthy
WORKDIR /var/lib/lossline
USER lossline
VOLUME /var/lib/lossline

FROM services AS api
EXPOSE 8000
HEALTHCHECK --interval=5s --timeout=5s --retries=6 CMD ["healthy", "8000", "/healthcheck/"]
CMD ["lossline-api"]

FROM services AS websocket
EXPOSE 8001
HEALTHCHECK --interval=5s --timeout=5s --retries=6 CMD ["healthy", "8001", "/healthcheck/"]
CMD ["lossline-websocket"]

FROM services AS task-controller
ENV OASIS_TASK_CONTROLLER_HEALTH_PORT=8080
HEALTHCHECK --interval=5s --timeout=5s --retries=6 CMD ["healthy", "8080", "/readyz"]
CMD ["lossline-task-controller"]

FROM services AS worker-monitor
ENV OASIS_WORKER_MONITOR_HEALTH_PORT=8080
HEALTHCHECK --interval=5s --timeout=5s --retries=6 CMD ["healthy", "8080", "/readyz"]
CMD ["lossline-worker-monitor"]

FROM services AS worker-controller
ENV OASIS_WORKER_CONTROLLER_HEALTH_PORT=8080 OASIS_WORKER_CONTROLLER_FLEET=docker
HEALTHCHECK --interval=5s --timeout=5s --retries=6 CMD ["healthy", "8080", "/readyz"]
CMD ["lossline-worker-controller"]

FROM services AS operations
CMD ["lossline", "doctor"]

# The worker has oasislmf and its kernels. They are compiled for the processor that the image is built on; on one of another
# kind a worker compiles them again, into its volume. KERNELS=some compiles only what a run of the example model uses.
FROM base AS programs
# A run's watcher, which ends it at the first error, looks with `ps` whether the run lives.
RUN command -v ps >/dev/null \
 || (apt-get update && apt-get install --yes --no-install-recommends procps && rm -rf /var/lib/apt/lists/*)
ARG PIP_OPTIONS=
RUN --mount=type=bind,source=compose/wheels,target=/wheels --mount=type=cache,target=/root/.cache/pip \
    --mount=type=bind,source=scripts,target=/scripts \
    touch README.md && python3 -m venv /opt/lossline \
 && pip install ${PIP_OPTIONS} --find-links=/wheels --constraint=constraints.txt '.[model-worker]' \
 && python /scripts/whole-seconds.py /opt/lossline
ARG KERNELS=all
USER lossline
WORKDIR /var/lib/lossline/tmp
RUN if [ "$KERNELS" = all ]; then oasislmf warmup && rm -rf ./*; fi

FROM programs AS worker
USER root
RUN --mount=type=bind,target=/source,rw \
    pip install ${PIP_OPTIONS} --find-links=/source/compose/wheels --no-deps --force-reinstall --no-cache-dir /source
COPY compose/healthy.sh /usr/local/bin/healthy
RUN install --directory --owner=lossline --group=lossline /var/cache/lossline
USER lossline
RUN if [ "$KERNELS" = all ]; then python -m examples.coastwind.sample model; else python -m examples.coastwind.build model; fi \
 && python -m services.model_worker.priming model && rm -rf model
WORKDIR /var/lib/lossline
ENV OASIS_WORKER_HEALTH_PORT=8080
HEALTHCHECK --interval=5s --timeout=5s --retries=6 CMD ["healthy", "8080", "/readyz"]
VOLUME /var/lib/lossline
CMD ["lossline-model-worker"]

FROM worker AS coastwind
USER root
RUN python -m examples.coastwind.build /model
USER lossline
ENV OASIS_MODEL_DATA_DIRECTORY=/model
LABEL lossline.supplier=Lossline lossline.model=CoastWind lossline.version=1
