# Two images from one file: `runtime` (a worker and the command line) and `demo` (also trains the demo's models).
FROM python:3.13-slim-bookworm AS runtime

ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PYTHONUNBUFFERED=1 \
    TF_CPP_MIN_LOG_LEVEL=1

WORKDIR /opt/headrace

# Dependencies first: they change rarely, so that a change of the source rebuilds only the last layers.
COPY requirements/runtime.lock requirements/
RUN pip install --require-hashes -r requirements/runtime.lock

COPY pyproject.toml README.md LICENSE ./
COPY schemas schemas
COPY batching batching
COPY lifecycle lifecycle
COPY worker worker
# The build backend is among the locked packages, so nothing is fetched here.
RUN pip install --no-deps --no-build-isolation .

# A volume that is mounted here for the first time belongs to this user, who may write to it.
RUN useradd --create-home --uid 10001 headrace && install -d -o headrace -g headrace /models
USER headrace
WORKDIR /home/headrace

# Pages for machines: in a container, localhost would be nobody.
ENV HEADRACE_HTTP__HOST=0.0.0.0
EXPOSE 9464

# No shell in between: SIGTERM reaches the worker, which then finishes what it has read (25 s by default).
ENTRYPOINT ["headrace"]
CMD ["worker"]


FROM runtime AS demo
USER root
COPY requirements/demo.lock /opt/headrace/requirements/
RUN pip install --require-hashes -r /opt/headrace/requirements/demo.lock
USER headrace
