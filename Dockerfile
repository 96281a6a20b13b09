# docker run -p 6379:6379 -p 9121:9121 antecache
#
# A plain cache until ANTECACHE_BACKING, or a file mounted over /data/antecache.toml and named by
# ANTECACHE_CONFIG, says which database stands behind it. Every setting is a variable of the
# environment: `antecache settings` lists them.

ARG BASE=python:3.12-slim-bookworm

FROM ${BASE} AS build
WORKDIR /src
COPY . .
# A pip.conf for a private index may be given as the secret "pip"; it leaves no trace in the image.
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    python3 -m pip wheel --quiet --no-deps --no-cache-dir --wheel-dir /wheels .
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    python3 -m venv --without-pip /opt/antecache \
    && wheel="$(echo /wheels/antecache-*.whl)" \
    && python3 -m pip --python /opt/antecache/bin/python install --quiet --no-cache-dir \
        "${wheel}[postgresql,mysql,zstd]"

FROM ${BASE}
# The server needs no rights; /data is where it may write: a history, an SQLite file.
RUN useradd --system --uid 10001 --home-dir /data --create-home --shell /usr/sbin/nologin antecache
COPY --from=build /opt/antecache /opt/antecache
ENV PATH=/opt/antecache/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    ANTECACHE_HOST=0.0.0.0 \
    ANTECACHE_METRICS_HOST=0.0.0.0 \
    ANTECACHE_PROTECTED_MODE=no
USER antecache
WORKDIR /data
EXPOSE 6379 9121
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s CMD ["antecache", "ping"]
ENTRYPOINT ["antecache"]
CMD ["serve"]
