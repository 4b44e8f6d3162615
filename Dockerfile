# The gateway: HTTP in front, gRPC to TensorFlow Serving behind. TensorFlow is not in this image.
#
# The tag names the Python series and the Debian release: a rebuild brings their security fixes, but never
# another Python or C library. Everything else is pinned with hashes in requirements-gateway.lock.
FROM python:3.13-slim-trixie

WORKDIR /srv/sportvision

# Before the code, so that a change of the code alone does not install anew. One stage is enough: each package
# comes as a wheel, so that there is no compiler to leave behind.
COPY requirements-gateway.lock ./
RUN pip install --no-cache-dir --disable-pip-version-check --root-user-action=ignore \
        --no-deps --require-hashes --only-binary=:all: -r requirements-gateway.lock

COPY LICENSE preprocessing.py ./
COPY catalogue/ catalogue/
COPY proto_client/ proto_client/
COPY app/ app/
# Now, because the root file system may be read-only later.
RUN python -m compileall -q .

# A number, so that Kubernetes can tell that it is not root. It owns nothing here and needs no home.
USER 10001:10001

# The build fails, and not the first start, where a file is missing or this user may not read it.
RUN ["python", "-c", "import app.__main__, app.main"]

ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    SPORTVISION_ENVIRONMENT=production \
    SPORTVISION_HOST=0.0.0.0 \
    SPORTVISION_PORT=8000
EXPOSE 8000

# http.client, because urllib would send this to a proxy where one is set.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-I", "-c", "import http.client, os, sys; c = http.client.HTTPConnection('127.0.0.1', int(os.environ['SPORTVISION_PORT']), timeout=2); c.request('GET', '/healthz'); sys.exit(c.getresponse().status != 200)"]

CMD ["python", "-m", "app"]
