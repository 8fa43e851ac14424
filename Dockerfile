# One image; the command chooses the service.
FROM python:3.13-slim AS build
WORKDIR /src
COPY requirements/runtime.txt requirements/
RUN python -m venv /opt/holdfast \
 && /opt/holdfast/bin/pip install --no-cache-dir --require-hashes -r requirements/runtime.txt
COPY . .
RUN /opt/holdfast/bin/pip install --no-cache-dir --no-deps .

FROM python:3.13-slim
RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/holdfast holdfast \
 && install --directory --owner=holdfast --group=holdfast /var/lib/holdfast/evidence
COPY --from=build /opt/holdfast /opt/holdfast
ENV PATH=/opt/holdfast/bin:$PATH PYTHONUNBUFFERED=1
USER holdfast
WORKDIR /var/lib/holdfast
EXPOSE 7411 7412 7421 7422
CMD ["inventory-service", "serve"]
