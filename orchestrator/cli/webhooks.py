"""`atelier webhooks`: addresses that are told what ended."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from orchestrator.cli import connect
from orchestrator.cli.output import Json, print_json, print_table, settings
from orchestrator.cli.tracking import Limit, when

app = typer.Typer(help="Addresses that are told what ended.", no_args_is_help=True)
WebhookId = Annotated[str, typer.Argument(metavar="WEBHOOK", help="The id of a webhook: webhook_…")]
Event = Annotated[
    list[str] | None,
    typer.Option("--event", help="run.completed, run.failed, …; may be given again; none: all."),
]


@app.command()
def create(
    url: Annotated[str, typer.Argument(help="The address, http or https.")],
    event: Event = None,
    as_json: Json = False,
) -> None:
    """Have an address told; the secret that signs is printed this once."""
    body: dict[str, Any] = {"url": url} | ({} if event is None else {"events": event})
    with connect.studio(settings(), works=False) as client:
        _print_secret(client.post("/v1/webhooks", body), as_json=as_json)


@app.command("list")
def list_webhooks(as_json: Json = False, limit: Limit = 20) -> None:
    """List your webhooks, newest first; no secret is shown."""
    with connect.studio(settings(), works=False) as client:
        found = client.pages("/v1/webhooks", limit)
    if as_json:
        print_json(found)
        return
    rows = [(one["id"], "active" if one["active"] else "off", one["url"], " ".join(one["events"])) for one in found]
    print_table(("webhook", "state", "address", "events"), rows)


@app.command()
def deliveries(webhook: WebhookId, as_json: Json = False, limit: Limit = 20) -> None:
    """List what was sent or waits, newest first."""
    with connect.studio(settings(), works=False) as client:
        found = client.pages(f"/v1/webhooks/{webhook}/deliveries", limit)
    if as_json:
        print_json(found)
        return
    rows = [
        (one["id"], one["event"], one["subject_id"], one["state"], one["attempts"], _when(one["due_at"]), one["error"])
        for one in found
    ]
    print_table(("delivery", "event", "of", "state", "attempts", "next", "error"), rows)


@app.command()
def retry(
    webhook: WebhookId,
    delivery: Annotated[str, typer.Argument(metavar="DELIVERY", help="Its id: delivery_…")],
    as_json: Json = False,
) -> None:
    """Send something again at once, under the same id."""
    with connect.studio(settings(), works=False) as client:
        _print_delivery(client.post(f"/v1/webhooks/{webhook}/deliveries/{delivery}/retry"), as_json=as_json)


@app.command("test")
def send_test(webhook: WebhookId, as_json: Json = False) -> None:
    """Have `webhook.test` sent at once; `deliveries` says what came of it."""
    with connect.studio(settings()) as client:
        _print_delivery(client.post(f"/v1/webhooks/{webhook}/test"), as_json=as_json)


@app.command()
def rotate(webhook: WebhookId, as_json: Json = False) -> None:
    """Give a webhook a new secret, printed this once; the old one signs nothing any more."""
    with connect.studio(settings(), works=False) as client:
        _print_secret(client.post(f"/v1/webhooks/{webhook}/rotate"), as_json=as_json)


@app.command()
def switch(
    webhook: WebhookId,
    on: Annotated[bool, typer.Option("--on/--off", help="Off: nothing is sent, and what waits is given up.")],
    as_json: Json = False,
) -> None:
    """Switch a webhook on or off."""
    with connect.studio(settings(), works=False) as client:
        changed = client.patch(f"/v1/webhooks/{webhook}", {"active": on})
    if as_json:
        print_json(changed)
    else:
        print(f"{webhook} is {'active' if changed['active'] else 'off'}.")


@app.command()
def delete(webhook: WebhookId, as_json: Json = False) -> None:
    """Delete a webhook and its log."""
    with connect.studio(settings(), works=False) as client:
        client.delete(f"/v1/webhooks/{webhook}")
    if as_json:
        print_json({"id": webhook})
    else:
        print(f"{webhook} is deleted.")


def _print_secret(made: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(made)
        return
    connect.note(f"{made['id']} is told of {', '.join(made['events'])}. Its secret is shown this once:")
    print(made["secret"])


def _print_delivery(sent: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(sent)
    else:
        print(f"{sent['id']} is on its way.")


def _when(at: float | None) -> str:
    return "" if at is None else when(at)
