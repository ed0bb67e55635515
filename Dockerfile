# Apothecary with its content. Build: docker build --tag apothecary .    Run: docker compose up
FROM python:3.13-slim@sha256:6771159cd4fa5d9bba1258caf0b82e6b73458c694d178ad97c5e925c2d0e1a91 AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE CHANGELOG.md ./
COPY requirements ./requirements
RUN pip install --no-cache-dir --require-hashes --requirement requirements/build.txt \
    && pip wheel --no-cache-dir --require-hashes --wheel-dir /wheels --requirement requirements/run.txt
COPY server ./server
RUN pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels .

FROM python:3.13-slim@sha256:6771159cd4fa5d9bba1258caf0b82e6b73458c694d178ad97c5e925c2d0e1a91
LABEL org.opencontainers.image.title="Apothecary" \
      org.opencontainers.image.description="A FHIR server and validator for medication knowledge" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /wheels /wheels
RUN pip install --no-cache-dir --no-index --find-links=/wheels apothecary && rm -rf /wheels
RUN install --directory --owner=10001 --group=10001 /data
COPY resources /content

# Bound to 0.0.0.0 the server is read-only: whoever reaches the port may read. To let them write as well, set
# APOTHECARY_OPEN_WRITES=true, and only where the port is reachable by nobody else.
ENV PYTHONUNBUFFERED=1 \
    APOTHECARY_HOST=0.0.0.0 \
    APOTHECARY_PORT=8080 \
    APOTHECARY_CONTENT=/content \
    APOTHECARY_DATABASE=sqlite:////data/apothecary.db
# By number, so that an orchestrator can see that it is not root.
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ['APOTHECARY_PORT'] + '/healthz', timeout=2)"]
CMD ["apothecary", "serve"]
