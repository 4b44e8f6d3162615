# The models, for an init container to copy out of (k8s/base/model-server): `docker build -f models.Dockerfile
# -t sportvision-models:0.1.0 .` An image of models has a tag of its own: it is released when a model is, not when the
# gateway is. What reaches the builder, models.Dockerfile.dockerignore says.
#
# busybox for its cp, and nothing else: a few megabytes beside the models.
FROM busybox:1.37.0-musl

LABEL org.opencontainers.image.title="sportvision-models" \
      org.opencontainers.image.description="SavedModels for TensorFlow Serving, under /models" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"

COPY models/ /models/

USER 10001:10001

# The build fails, and not the first start, where there is no model or this user may not read it.
RUN test -n "$(ls /models/*/*/saved_model.pb)" && find /models -type f -exec cat {} + >/dev/null

CMD ["cp", "-R", "/models/.", "/target/"]
