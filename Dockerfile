# facetool and its weights, run by a user without rights.
#
#   docker build -t facetool .                                   PyTorch for CPUs
#   docker build -t facetool --build-arg TORCH= .                PyTorch from PyPI, with CUDA on x86-64
#   docker build -t facetool-server --target server .            serves on port 8080
#
# docs/container.md shows how to use it; scripts/container-check runs these steps without Docker.
FROM debian:bookworm-slim AS python
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3 \
 && rm -rf /var/lib/apt/lists/*

# uv knows where PyTorch's builds lie: TORCH is cpu, a version of CUDA such as cu130, or nothing.
FROM python AS build
ARG TORCH=cpu
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3-venv \
 && python3 -m venv /opt/uv \
 && /opt/uv/bin/pip install --no-cache-dir uv \
 && /opt/uv/bin/uv venv --python /usr/bin/python3 /opt/facetool
COPY constraints.txt pyproject.toml README.md LICENSE /source/
COPY facetool /source/facetool
RUN /opt/uv/bin/uv pip install --python /opt/facetool --no-cache --compile-bytecode \
    -c /source/constraints.txt ${TORCH:+--torch-backend "$TORCH"} "/source[serve]" \
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
