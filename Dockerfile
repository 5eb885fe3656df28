# syntax=docker/dockerfile:1
# One file, three images, by --target:
#   core    web, scheduler, telegram, migrate, and workers that run no agent
#   worker  core and the Claude Code CLI (360 MB), for workers that run agents
#   voice   worker and faster-whisper, for workers that hear voice messages (docs/media.md)
# BASE is any Debian with Python 3.11 or newer and its venv module; by digest, if what is built must not change.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS core
RUN useradd --uid 10001 --user-group --create-home jobs \
    && install --directory --owner=jobs --group=jobs /var/lib/jobs /var/lib/jobs/workspaces
WORKDIR /opt/jobs
COPY requirements.txt requirements-voice.txt ./
# From its source the SDK is built without the CLI; everything else comes as wheels.
RUN python3 -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir --require-hashes --no-binary claude-agent-sdk -r requirements.txt
COPY . .
RUN /opt/venv/bin/python -m compileall -q .
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/opt/jobs \
    PYTHONSAFEPATH=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    JOBS_DATA=/var/lib/jobs \
    JOBS_WORKSPACES=/var/lib/jobs/workspaces \
    JOBS_LOG_FORMAT=json
USER 10001
# Whether the database can be reached and fits this program; docker-compose.yml asks web and workers for more.
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s CMD ["python", "-m", "cli", "health"]
ENTRYPOINT ["python", "-m", "cli"]
CMD ["--help"]

FROM core AS worker
USER 0
# The very version and hashes of requirements.txt, as the wheel that holds the CLI.
RUN sed -n '/^claude-agent-sdk==/,/[^\\]$/p' requirements.txt > /tmp/sdk.txt \
    && pip install --no-cache-dir --require-hashes --no-deps --force-reinstall -r /tmp/sdk.txt \
    && rm /tmp/sdk.txt
USER 10001

FROM worker AS voice
USER 0
RUN pip install --no-cache-dir --require-hashes -r requirements-voice.txt
USER 10001
