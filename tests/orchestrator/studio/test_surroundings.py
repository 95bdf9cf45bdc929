"""What the servers below a studio can read of its secrets."""

from __future__ import annotations

from orchestrator.studio import _for_servers


def test_the_servers_below_get_no_secret() -> None:
    given = {
        "PATH": "/bin",
        "TMPDIR": "/var/tmp",
        "ATELIER_ADMIN_KEY": "a",
        "ATELIER_DATABASE_URL": "postgresql+psycopg://atelier:b@host/atelier",
        "ATELIER_BROKER_URL": "amqp://atelier:c@host//",
        "AWS_SECRET_ACCESS_KEY": "d",
        "CRM_TOKEN": "e",
        "OPENAI_API_KEY": "f",
        "OTEL_EXPORTER_OTLP_HEADERS": "g",
    }
    assert _for_servers(given) == {"PATH": "/bin", "TMPDIR": "/var/tmp"}
