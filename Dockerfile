# The gateway: HTTP in front, gRPC to TensorFlow Serving behind. TensorFlow is not in this image.
#
# The tag names the Python series and the Debian release: a rebuild brings their security fixes, but never
# another Python or C library. Everything else is pinned with hashes in requirements-gateway.lock.
FROM python:3.13-slim-trixie AS packages

# An environment of its own is one folder to take over. Each package comes as a wheel, so no stage has a compiler, and
# with its dist-info, in which tools that make an SBOM read name, version and licence.
COPY requirements-gateway.lock /
RUN python -m venv --without-pip /opt/gateway \
    && pip --python /opt/gateway/bin/python install --no-cache-dir --disable-pip-version-check \
        --no-deps --require-hashes --only-binary=:all: -r /requirements-gateway.lock

FROM python:3.13-slim-trixie

LABEL org.opencontainers.image.title="sportvision-gateway" \
      org.opencontainers.image.description="Which sport is in the picture? The HTTP gateway to TensorFlow Serving" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"

# Nothing is installed into a running gateway: an installer would be one more thing to keep up to date.
RUN pip uninstall --yes --root-user-action=ignore pip

WORKDIR /srv/sportvision

# Before the code, so that a change of the code alone brings the packages' layer from the cache.
COPY --from=packages /opt/gateway /opt/gateway
ENV PATH="/opt/gateway/bin:$PATH"

COPY LICENSE agreement.py preprocessing.py ./
COPY catalogue/ catalogue/
COPY proto_client/ proto_client/
COPY accounts/ accounts/
COPY app/ app/
COPY rollout/ rollout/
# Now, because the root file system may be read-only later. The folder is of use only with accounts on SQLite, or mails
# as files: mount something that stays.
RUN python -m compileall -q . \
    && mkdir -m 0700 /var/lib/sportvision && chown 10001:10001 /var/lib/sportvision

# A number, so that Kubernetes can tell that it is not root. It owns nothing else here and needs no home.
USER 10001:10001

# The build fails, and not the first start, where a file is missing or this user may not read it.
RUN ["python", "-c", "import app.__main__, app.main, accounts.opening, accounts.commands.line"]

ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    SPORTVISION_DATABASE_URL=sqlite:////var/lib/sportvision/accounts.sqlite3 \
    SPORTVISION_ENVIRONMENT=production \
    SPORTVISION_HOST=0.0.0.0 \
    SPORTVISION_MAIL_FOLDER=/var/lib/sportvision/mails \
    SPORTVISION_PORT=8000
EXPOSE 8000

# http.client, because urllib would send this to a proxy where one is set.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-I", "-c", "import http.client, os, sys; c = http.client.HTTPConnection('127.0.0.1', int(os.environ['SPORTVISION_PORT']), timeout=2); c.request('GET', '/healthz'); sys.exit(c.getresponse().status != 200)"]

CMD ["python", "-m", "app"]
