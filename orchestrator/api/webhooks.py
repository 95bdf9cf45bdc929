"""Webhooks: addresses that are told what ended, signed as Standard Webhooks says."""

from __future__ import annotations

from dataclasses import asdict
from ipaddress import ip_address
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from orchestrator.api.context import Context, Here, Owner
from orchestrator.api.lists import Before, Limit, page
from orchestrator.api.shapes.base import CreatedAt, Page, Shown
from orchestrator.api.texts import Text
from orchestrator.errors import Invalid
from store import deliveries, webhooks
from store.webhooks import Webhook
from tools.addresses import Origin, checked_addresses
from tools.fetch import FetchRefused, readable

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])
Event = Literal[
    "run.completed", "run.failed", "run.cancelled", "approval.required", "batch.completed", "batch.cancelled"
]
Events = Annotated[list[Event], Field(min_length=1, max_length=len(deliveries.EVENTS))]


class NewWebhook(BaseModel):
    """An address to tell."""

    model_config = ConfigDict(extra="forbid")
    url: Text = Field(
        min_length=8,
        max_length=2000,
        description="http or https; redirects are not followed, and a private address only where the settings name it",
    )
    events: Events = Field(default_factory=lambda: list(deliveries.EVENTS), description="what to tell; none: all")  # type: ignore[arg-type]


class Changed(BaseModel):
    """What to change of a webhook; what is not given stays."""

    model_config = ConfigDict(extra="forbid")
    active: bool | None = Field(None, description="false: nothing is sent, and what waits is given up")
    events: Events | None = Field(None, description="what to tell from now on")


class WebhookShape(Shown):
    """An address that is told what ended."""

    id: str = Field(description="`webhook_…`; ids sort by time")
    url: str = Field(description="where it is sent")
    events: list[str] = Field(description="what is told")
    active: bool = Field(description="false: nothing is sent; a receiver that answers 410 switches it off")
    created_at: CreatedAt


class WebhookMade(WebhookShape):
    """A webhook with its secret."""

    secret: str = Field(description="what signs: `whsec_` and a key in base 64; it is shown here and never again")


class DeliveryShape(Shown):
    """Something that was sent, or is to be."""

    id: str = Field(description="`delivery_…`; sent as `webhook-id`, the same at every attempt")
    event: str = Field(description="what is told; `webhook.test`: nothing but that it came")
    subject_id: str = Field(description="the run, the batch, or for a test the webhook")
    state: Literal["waiting", "delivered", "failed"] = Field(
        description="waiting: there will be an attempt; failed: there will be none unless it is tried again"
    )
    attempts: int = Field(
        description="how often it was tried, 8 at most; counted from 0 when it is tried again by hand"
    )
    due_at: float | None = Field(description="when it is tried next, seconds since 1970; null where it is not")
    status_code: int | None = Field(description="the last answer's; null where there was none")
    error: str | None = Field(description="why the last attempt failed; null where it did not")
    created_at: float = Field(description="when it happened, seconds since 1970")
    ended_at: float | None = Field(description="when it was delivered or given up, seconds since 1970")


@router.post("", status_code=201, response_model=WebhookMade)
def create(new: NewWebhook, here: Here, owner: Owner) -> dict[str, Any]:
    """Have an address told of one's own runs and batches; `secret` is shown here and never again."""
    _check(here, new.url)
    now = here.database.clock.now()
    made, secret = here.database.transact(
        lambda c: webhooks.create(c, owner, new.url, list(dict.fromkeys(new.events)), now), durable=True
    )
    return asdict(made) | {"secret": secret}


@router.get("", response_model=Page[WebhookShape])
def list_webhooks(here: Here, owner: Owner, before: Before = None, limit: Limit = 20) -> dict[str, Any]:
    """List one's own webhooks, newest first."""

    def rows(most: int) -> list[dict[str, Any]]:
        return [asdict(one) for one in webhooks.list_(connection, owner, before=before, limit=most)]

    with here.database.read() as connection:
        return page(rows, limit)


@router.get("/{webhook_id}", response_model=WebhookShape)
def get(webhook_id: str, here: Here, owner: Owner) -> Webhook:
    """Give a webhook without its secret."""
    with here.database.read() as connection:
        return webhooks.require(connection, owner, webhook_id)


@router.patch("/{webhook_id}", response_model=WebhookShape)
def change(webhook_id: str, wanted: Changed, here: Here, owner: Owner) -> Webhook:
    """Switch a webhook on or off, or change what it is told."""
    fields = wanted.model_dump(exclude_none=True)
    now = here.database.clock.now()
    return here.database.transact(lambda c: webhooks.change(c, owner, webhook_id, now=now, **fields), durable=True)


@router.delete("/{webhook_id}", status_code=204)
def delete(webhook_id: str, here: Here, owner: Owner) -> None:
    """Delete a webhook, and the log of what it was sent."""
    here.database.transact(lambda c: webhooks.remove(c, owner, webhook_id), durable=True)


@router.post("/{webhook_id}/rotate", response_model=WebhookMade)
def rotate(webhook_id: str, here: Here, owner: Owner) -> dict[str, Any]:
    """Give a webhook a new secret, shown here and never again; the next attempt is signed with it."""
    found, secret = here.database.transact(lambda c: webhooks.rotate(c, owner, webhook_id), durable=True)
    return asdict(found) | {"secret": secret}


@router.post("/{webhook_id}/test", status_code=202, response_model=DeliveryShape)
def test(webhook_id: str, here: Here, owner: Owner) -> dict[str, Any]:
    """Have `webhook.test` sent at once; its delivery says what came of it."""
    return here.commit(lambda t: webhooks.send_test(t, owner, webhook_id))


@router.get("/{webhook_id}/deliveries", response_model=Page[DeliveryShape])
def list_deliveries(
    webhook_id: str, here: Here, owner: Owner, before: Before = None, limit: Limit = 20
) -> dict[str, Any]:
    """List what was sent in the last 30 days or waits, newest first."""
    with here.database.read() as connection:
        return page(
            lambda n: webhooks.deliveries_of(connection, owner, webhook_id, before=before, limit=n),
            limit,
        )


@router.post("/{webhook_id}/deliveries/{delivery_id}/retry", status_code=202, response_model=DeliveryShape)
def retry(webhook_id: str, delivery_id: str, here: Here, owner: Owner) -> dict[str, Any]:
    """Send something again at once, also what was delivered; its id stays."""
    return here.commit(lambda t: webhooks.retry(t, owner, webhook_id, delivery_id))


def _check(here: Context, url: str) -> None:
    """Refuse at once what can be seen from the address alone; names are looked up when something is sent."""
    try:
        origin = Origin.of(str(readable(url)))
    except (FetchRefused, ValueError) as error:
        raise Invalid(f"url: {error}", param="url") from error
    try:
        literal = "127.0.0.1" if origin.host == "localhost" else str(ip_address(origin.host))
    except ValueError:  # a name
        return
    try:
        checked_addresses(
            origin.host, origin.port, here.settings.webhook_origins & {origin}, resolve=lambda *_: [literal]
        )
    except FetchRefused as error:
        why = f"url: {origin.host} is not on the open internet; ATELIER_WEBHOOKS_PRIVATE names what else may be reached"
        raise Invalid(why, param="url") from error
