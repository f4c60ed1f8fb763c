# The service as an image. It runs as a user of its own and writes nothing, so the root file system
# can be mounted read-only.

FROM python:3.13.15-slim-bookworm@sha256:2325bb286ec344af3e5898cc224b5844e2707ac6e26b1632516fd3edc84a5e26 AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
# With what traces are sent with: an image cannot be given an extra later, and off it costs nothing.
COPY requirements/otel.txt requirements/build.txt requirements/
# Before the sources, so that a change of those leaves this layer as it is.
RUN python -m venv /opt/sedna-sync \
    && /opt/sedna-sync/bin/python -m pip install --require-hashes -r requirements/otel.txt \
    && python -m pip install --require-hashes -r requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY schemas schemas
COPY db db
COPY consumer consumer
RUN python -m pip wheel --no-deps --no-build-isolation --wheel-dir /wheel . \
    && /opt/sedna-sync/bin/python -m pip install --no-deps --no-index /wheel/*.whl \
    && /opt/sedna-sync/bin/python -m pip uninstall --yes pip

FROM python:3.13.15-slim-bookworm@sha256:2325bb286ec344af3e5898cc224b5844e2707ac6e26b1632516fd3edc84a5e26
# The base brings pip; nothing is installed here any more. What it does not bring is the compiled standard library, and
# what cannot write would compile it anew at every start and for every health check.
RUN python -m pip uninstall --yes --root-user-action=ignore pip \
    && rm -r /usr/local/lib/python3.*/ensurepip \
    && python -m compileall -q /usr/local/lib/python3.*
ENV PATH=/opt/sedna-sync/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    SEDNA_SYNC_API_HOST=0.0.0.0
COPY --from=build /opt/sedna-sync /opt/sedna-sync
USER 10001:10001
WORKDIR /
EXPOSE 8080
# Of `run`, which is what it mostly does; what serves nothing switches it off. It heeds no proxy of the environment.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import http.client, os, sys; service = http.client.HTTPConnection('127.0.0.1:' + (os.environ.get('SEDNA_SYNC_API_PORT') or '8080'), timeout=3); service.request('GET', '/healthz'); sys.exit(service.getresponse().status != 200)"]
# In exec form, so that the process itself gets the signals. SIGTERM, Docker's default, lets it settle what is in
# flight; give it longer than DRAIN_TIMEOUT.
ENTRYPOINT ["sedna-sync"]
CMD ["run"]
