# One image; the command chooses the service.
FROM python:3.13.9-slim-bookworm AS build
WORKDIR /src
COPY requirements/runtime.txt requirements/build.txt requirements/
RUN python -m venv --without-pip /opt/holdfast \
 && pip --python /opt/holdfast/bin/python install --no-cache-dir --require-hashes -r requirements/runtime.txt \
 && pip install --no-cache-dir --require-hashes -r requirements/build.txt
COPY . .
RUN python -m hatchling build --target wheel --directory dist \
 && pip --python /opt/holdfast/bin/python install --no-cache-dir --no-deps dist/*.whl

FROM python:3.13.9-slim-bookworm
RUN groupadd --system --gid 10001 holdfast \
 && useradd --system --uid 10001 --gid 10001 --create-home --home-dir /var/lib/holdfast holdfast \
 && install --directory --owner=holdfast --group=holdfast /var/lib/holdfast/evidence
COPY --from=build /opt/holdfast /opt/holdfast
# What GetServerInfo says of the image.
ARG COMMIT=
ENV PATH=/opt/holdfast/bin:$PATH PYTHONUNBUFFERED=1 HOLDFAST_COMMIT=$COMMIT
USER 10001:10001
WORKDIR /var/lib/holdfast
EXPOSE 7411 7412 7421 7422 9411 9412
CMD ["inventory-service", "serve"]
