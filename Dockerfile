# The image of the intake: one stage makes a virtual environment, the other has nothing but Python and that.
# It runs as a user without rights, over a root that may be read-only; what it keeps is under /var/lib/penstock.
# The master reaps its children itself, so there is no tini. deploy/image/prove carries these steps out without an engine.
# With --build-arg EXTRA=-otel it can send spans to an OpenTelemetry collector.
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS build
ARG EXTRA=
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends gcc libc6-dev python3 python3-dev python3-venv
WORKDIR /src
# Dependencies change seldom, so they have a layer of their own. They are wheels, pinned by hash: no code of theirs is compiled or run.
COPY requirements/build.txt requirements/compile.txt requirements/runtime.txt requirements/otel.txt requirements/
RUN python3 -m venv /opt/penstock && /opt/penstock/bin/pip install --quiet --no-cache-dir --no-compile --require-hashes --only-binary :all: -r requirements/runtime.txt
RUN python3 -m venv /opt/build && /opt/build/bin/pip install --quiet --no-cache-dir --require-hashes --only-binary :all: -r requirements/runtime.txt -r requirements/build.txt -r requirements/compile.txt
COPY pyproject.toml README.md LICENSE ./
COPY server server/
COPY soak soak/
COPY validators validators/
COPY deploy/wheel deploy/hatch_compiled.py deploy/
RUN PYTHON=/opt/build/bin/python deploy/wheel /opt/dist && /opt/penstock/bin/pip install --quiet --no-cache-dir --no-compile --require-hashes --only-binary :all: --find-links /opt/dist -r /opt/dist/requirements${EXTRA}.txt
# Compiled here, because the root of the image is read-only.
RUN /opt/penstock/bin/pip uninstall --quiet --yes pip setuptools && /opt/penstock/bin/python -m compileall -q /opt/penstock/lib

FROM ${BASE}
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends python3 ca-certificates && rm -rf /var/lib/apt/lists/*
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /var/lib/penstock --shell /usr/sbin/nologin penstock && install -d -o penstock -g penstock -m 0750 /var/lib/penstock && install -d /etc/penstock
COPY --from=build /opt/penstock /opt/penstock
COPY deploy/config /etc/penstock/profiles/
ENV PATH=/opt/penstock/bin:/usr/bin:/bin PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /var/lib/penstock
VOLUME /var/lib/penstock
EXPOSE 8192 8193
STOPSIGNAL SIGTERM
ENTRYPOINT ["penstock"]
CMD ["serve", "-c", "/etc/penstock/settings.yaml"]
