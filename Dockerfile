# facetool and its weights, run by a user without rights.
#
#   docker build -t facetool --build-arg TORCH_INDEX=ADDRESS .   PyTorch for CPUs: ADDRESS is the one that
#                                                                pytorch.org/get-started has for pip
#   docker build -t facetool .                                   PyTorch from PyPI, with CUDA on x86-64
#   docker build -t facetool-server --target server .            serves on port 8080
#
# docs/container.md shows how to use it; scripts/container-check runs these steps without Docker.
FROM debian:bookworm-slim AS python
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3 \
 && rm -rf /var/lib/apt/lists/*

FROM python AS build
ARG TORCH_INDEX=
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3-venv \
 && python3 -m venv /opt/facetool
COPY constraints.txt pyproject.toml README.md LICENSE /source/
COPY facetool /source/facetool
RUN /opt/facetool/bin/pip install --no-cache-dir -c /source/constraints.txt \
    ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} "/source[serve]" \
 && /opt/facetool/bin/pip uninstall -y -q pip \
 && rm -rf /opt/facetool/lib/python3*/site-packages/torch/include

FROM python AS runtime
COPY --from=build /opt/facetool /opt/facetool
RUN useradd --create-home --uid 10001 facetool
ENV PATH=/opt/facetool/bin:/usr/local/bin:/usr/bin:/bin
ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER facetool
WORKDIR /photos
ENTRYPOINT ["facetool"]

FROM runtime AS server
EXPOSE 8080
HEALTHCHECK --start-period=60s CMD ["python3", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/health', timeout=10)"]
CMD ["serve", "--host", "0.0.0.0"]

FROM runtime AS facetool
CMD ["--help"]
