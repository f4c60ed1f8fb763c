# The service as an image. It runs as a user of its own and writes nothing, so the root file system
# can be mounted read-only.

FROM python:3.13-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
COPY requirements/runtime.txt requirements/build.txt requirements/
# Before the sources, so that a change of those leaves this layer as it is.
RUN python -m venv /opt/sedna-sync \
    && /opt/sedna-sync/bin/python -m pip install --require-hashes -r requirements/runtime.txt \
    && python -m pip install --require-hashes -r requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY schemas schemas
COPY db db
COPY consumer consumer
RUN python -m pip wheel --no-deps --no-build-isolation --wheel-dir /wheel . \
    && /opt/sedna-sync/bin/python -m pip install --no-deps --no-index /wheel/*.whl \
    && /opt/sedna-sync/bin/python -m pip uninstall --yes pip

FROM python:3.13-slim
ENV PATH=/opt/sedna-sync/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    SEDNA_SYNC_API_HOST=0.0.0.0
COPY --from=build /opt/sedna-sync /opt/sedna-sync
USER 10001:10001
WORKDIR /
EXPOSE 8080
# SIGTERM, Docker's default, lets it settle what is in flight; give it longer than DRAIN_TIMEOUT.
ENTRYPOINT ["sedna-sync"]
CMD ["run"]
