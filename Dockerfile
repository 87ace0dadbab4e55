# An exported model behind HTTP, without torch: docs/howto/serve.md
FROM python:3.12-slim
ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY . /src
RUN pip install '/src[serve]' && rm -rf /src
RUN useradd --system --no-create-home --uid 10001 serve
USER serve
WORKDIR /model
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=3s --start-period=30s CMD ["python", "-c", "from urllib.request import ProxyHandler, build_opener; build_opener(ProxyHandler({})).open('http://127.0.0.1:8080/health', timeout=2)"]
ENTRYPOINT ["rationale", "serve", "--host", "0.0.0.0", "--port", "8080"]
CMD ["--model", "/model/model.onnx"]
