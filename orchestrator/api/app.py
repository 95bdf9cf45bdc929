"""The HTTP application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig

from orchestrator import parts
from orchestrator.api import (
    assets,
    batches,
    documents,
    faults,
    health,
    index,
    models,
    plans,
    runs,
    search,
    solutions,
    styles,
    threads,
    tools,
)
from orchestrator.api.context import Context
from orchestrator.api.guard import Guard
from orchestrator.errors import SettingsError
from orchestrator.settings import Settings
from store.blobs import Blobs
from store.database import Database
from workers.messages import Messenger

ROUTERS = (health, threads, runs, plans, assets, search, tools, batches, models, index, solutions, styles, documents)
BODY_BYTES = 1 << 20  # for routes that name no limit of their own
SILENT: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "operation_spans": False}


def open_context(settings: Settings) -> Context:
    """Open what the API works with; loads no net.

    Raises:
        SettingsError: there is no broker.
    """
    if settings.broker_url is None:
        raise SettingsError("the API needs a broker: `atelier up` starts one, or set ATELIER_BROKER_URL")
    return Context(
        settings=settings,
        database=Database(settings.database_url),
        blobs=Blobs(settings.blobs_url),
        messenger=Messenger(settings.broker_url, settings.result_url or settings.broker_url),
        index=None if settings.chroma_host is None else parts.search_index(settings),
    )


def create_app(context: Context) -> FastAPI:
    """Give the application over open connections; they are closed with it."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        context.messenger.close()
        context.database.close()

    app = FastAPI(
        title="Atelier",
        version=version("atelier"),
        lifespan=lifespan,
        docs_url=None,  # these pages load scripts from elsewhere; /openapi.json has the same content
        redoc_url=None,
        telemetry=SILENT,
        max_body_size=BODY_BYTES,
    )
    app.state.context = context
    app.add_middleware(Guard, host=context.settings.host)
    faults.install(app)
    for module in ROUTERS:
        app.include_router(module.router)
    return app
