# The program and its requirements. Built nowhere yet: where it was written no container could be built.
#   docker build -t captioning .                                              CPU
#   docker build -t captioning --build-arg DEVICE=gpu .                       GPU: CUDA from pip's packages
#   docker run --rm -v "$PWD/data:/app/data" -v "$PWD/runs:/app/runs" captioning scripts/demo.sh
#   docker run --rm --gpus all -v "$PWD/data:/app/data" -v "$PWD/runs:/app/runs" captioning python train.py --help
FROM python:3.11-slim
ARG DEVICE=cpu
WORKDIR /app
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONUNBUFFERED=1
COPY requirements*.txt scripts/setup.sh ./
# setup.sh makes /app/.venv, as outside of a container, so that the other scripts find their requirements installed.
RUN bash -c 'source ./setup.sh requirements.txt && source ./setup.sh requirements-serve.txt' \
    && if [ "$DEVICE" = gpu ]; then .venv/bin/pip install "$(grep -o '^tensorflow==[0-9.]*' requirements.txt | sed 's/==/[and-cuda]==/')"; fi \
    && rm setup.sh
ENV PATH=/app/.venv/bin:$PATH
COPY . .
EXPOSE 7860
CMD ["python", "caption.py", "--help"]
