"""The HTTP application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import Depends, FastAPI
from fastapi.telemetry import TelemetryConfig

from orchestrator import home, parts, telemetry
from orchestrator.api import (
    assets,
    batches,
    cards,
    collections,
    documents,
    exports,
    faults,
    health,
    index,
    keys,
    metrics,
    models,
    page,
    plans,
    queue,
    runs,
    search,
    similar,
    solutions,
    styles,
    threads,
    tools,
    usage,
    webhooks,
    workers,
)
from orchestrator.api.context import Context, identify
from orchestrator.api.described import ABOUT, Described, operation_id
from orchestrator.api.guard import Guard
from orchestrator.api.keyring import require_key
from orchestrator.api.mcp import front
from orchestrator.api.openai import audio, chat, embeddings, files, images, responses
from orchestrator.api.readiness import Glance, look, look_at_api
from orchestrator.api.seen import RequestMeters, Seen
from orchestrator.errors import SettingsError, described
from orchestrator.settings import Settings
from store.blobs import Blobs
from store.database import Database
from workers.messages import Messenger
from workers.meters import Meters

ROUTERS = (
    health,
    threads,
    runs,
    plans,
    assets,
    search,
    similar,
    collections,
    exports,
    tools,
    batches,
    queue,
    cards,
    models,
    chat,
    responses,
    index,
    solutions,
    styles,
    documents,
    keys,
    usage,
    webhooks,
    metrics,
    workers,
    front,
    images,
    audio,
    embeddings,
    files,
    page,
)
OPEN = (health, page)  # answer without a key
BODY_BYTES = 1 << 20  # for routes that name no limit of their own
SILENT: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "operation_spans": False}


def open_context(settings: Settings) -> Context:
    """Open what the API works with; loads no net.

    Raises:
        SettingsError: there is no broker, or no key on an address that others reach.
        StudioNotReady: the database cannot be asked for keys.
    """
    if settings.broker_url is None:
        raise SettingsError("the API needs a broker: `atelier up` starts one, or set ATELIER_BROKER_URL")
    database = Database(settings.database_url, pool=settings.database_pool, name="atelier api")
    require_key(settings, database)
    card = home.running(settings.home)
    watch = telemetry.open_watch(settings, "api", metered=True)
    return Context(
        settings=settings,
        database=database,
        blobs=watch.blobs(Blobs(settings.blobs_url)),
        messenger=Messenger(settings.broker_url, settings.result_url or settings.broker_url),
        index=parts.search_index(settings) if parts.has_index(settings) else None,
        local_key=None if card is None else card.key,
        watch=watch,
    )


def create_app(context: Context) -> FastAPI:
    """Give the application over open connections; they are closed with it."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with app.state.mcp.run():
            yield
        context.messenger.close()
        context.database.close()
        context.watch.close()

    app = Described(
        title="Atelier",
        description=ABOUT,
        generate_unique_id_function=operation_id,
        version=version("atelier"),
        lifespan=lifespan,
        docs_url=None,  # these pages load scripts from elsewhere; /openapi.json has the same content
        redoc_url=None,
        redirect_slashes=False,  # it would send a key on to whatever the Host says
        telemetry=SILENT,
        max_body_size=BODY_BYTES,
    )
    app.max_body_size = (
        None  # its router keeps the limit: what is refused outside of `Seen` would look like a bug of ours
    )
    app.state.context = context
    app.state.mcp = front.Front(context)
    app.state.glances = {"studio": Glance(lambda: look(context)), "api": Glance(lambda: look_at_api(context))}
    meters = context.watch.meters or Meters()
    meters.look_at(metrics.StudioLook(context))
    app.state.registry = meters.registry
    app.add_middleware(Guard, host=context.settings.host, is_locked=context.keyring.is_locked)
    app.add_middleware(Seen, watch=context.watch, meters=RequestMeters(meters))
    faults.install(app)
    for module in ROUTERS:
        is_open = module in OPEN
        app.include_router(
            module.router,
            dependencies=[] if is_open else [Depends(identify)],
            responses=described(422) if is_open else described(400, 401, 403, 404, 409, 413, 422, 429, 503),
        )
    app.mount("/web", page.WebFiles())
    return app
