# mmexplorer where there is no Space: a server, a workstation, a lecture hall's laptop. README.md says how to use it.
FROM python:3.12.12-slim-bookworm

# The index of the torch to install. Empty is pip's own, whose torch for Linux on x86-64 brings CUDA with it; the install
# page of pytorch.org names the index of the much smaller one for processors alone.
ARG TORCH_INDEX=""

ENV HF_HOME=/models/huggingface \
    MMEXPLORER_CACHE=/models/mmexplorer \
    PIP_NO_CACHE_DIR=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1

# A volume takes over who owns the folder that it is mounted at.
RUN useradd --create-home --uid 1000 visitor \
    && mkdir /models \
    && chown 1000 /models

WORKDIR /app
COPY requirements.txt ./
# The version of torch stands in requirements.txt.
# hadolint ignore=DL3013
RUN pip install ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} "$(grep '^torch[<>=]' requirements.txt)" \
    && pip install --requirement requirements.txt
COPY app.py ./
COPY assets ./assets
COPY mmexplorer ./mmexplorer

USER 1000
VOLUME ["/models"]
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:7860/gradio_api/app_id', timeout=4)"]
CMD ["python", "app.py", "--host", "0.0.0.0", "--port", "7860"]
