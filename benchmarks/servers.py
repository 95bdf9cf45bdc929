"""Private servers of a cluster, each a process in a folder of its own: started, stopped, killed, started again.

Every server listens on one address and one port; `env` is what a studio is told of it. Nothing here is for keeping:
passwords are drawn, but the databases trust whoever can reach the address.
"""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator import broker
from orchestrator.children import spawn

LOOPBACK = "127.0.0.1"
START_S = 90.0  # RabbitMQ on a busy machine
STOP_S = 20.0
LOOK_S = 0.05


class NoServer(Exception):
    """A program is not installed, or a server did not come up."""


@dataclass
class Server:
    """One server; `start` returns when it answers.

    Attributes:
        folder: everything it writes lies below; the caller removes it.
        host: the address it listens on.
        inside: what the command is put behind, such as `ip netns exec NAME`.
        port: a free one, and the same after each restart.
    """

    folder: Path
    host: str = LOOPBACK
    inside: Sequence[str] = ()
    port: int = 0
    running: subprocess.Popen[bytes] | None = None
    crash: signal.Signals = field(default=signal.SIGKILL, init=False)
    end: signal.Signals = field(default=signal.SIGTERM, init=False)

    def __post_init__(self) -> None:
        self.port = self.port or free_port(self.host)
        self.folder.mkdir(parents=True, exist_ok=True)

    @property
    def name(self) -> str:
        """A word for logs and people."""
        return type(self).__name__.lower()

    @property
    def url(self) -> str:
        """Where it is, as a studio is told."""
        raise NotImplementedError

    @property
    def env(self) -> dict[str, str]:
        """The environment variables that point a studio at it."""
        raise NotImplementedError

    def command(self) -> list[str]:
        """Give the program and its arguments."""
        raise NotImplementedError

    def environment(self) -> Mapping[str, str]:
        """Give the variables that its process gets."""
        return os.environ

    def prepare(self) -> None:
        """Make what it needs before its first start."""

    def answers(self) -> bool:
        """Say whether it can be worked with."""
        return connects(self.host, self.port)

    def start(self, timeout_s: float = START_S) -> None:
        """Start it, and wait until it answers.

        Raises:
            NoServer: it ended, or did not answer in time.
        """
        self.launch()
        self.wait(timeout_s)

    def launch(self) -> None:
        """Start it without waiting."""
        if self.running is None:
            self.prepare()
        with (self.folder / "log").open("ab") as log:
            self.running = spawn([*self.inside, *self.command()], environment=self.environment(), output=log)

    def wait(self, timeout_s: float = START_S) -> None:
        """Wait until it answers."""
        deadline = time.monotonic() + timeout_s
        while not self.answers():
            ended = self.running is None or self.running.poll() is not None
            if ended or time.monotonic() > deadline:
                raise NoServer(f"{self.name} {'ended' if ended else 'did not answer'}: {self.said()[-2000:]}")
            time.sleep(LOOK_S)

    def stop(self) -> None:
        """End it in order; what does not end in time is killed."""
        self._send(self.end)

    def kill(self) -> None:
        """End it as a crash would."""
        self._send(self.crash)

    def restart(self, timeout_s: float = START_S) -> None:
        """Crash and come again."""
        self.kill()
        self.start(timeout_s)

    def said(self) -> str:
        """Give its log."""
        log = self.folder / "log"
        return log.read_text(errors="replace") if log.exists() else ""

    def _send(self, number: signal.Signals) -> None:
        if self.running is None or self.running.poll() is not None:
            return
        self.running.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.running.wait(STOP_S)
        with contextlib.suppress(ProcessLookupError):  # its children, in its group
            os.killpg(self.running.pid, signal.SIGKILL)
        self.running.wait()


class PostgreSQL(Server):
    """PostgreSQL with its commits on the disk; it does not run as root, so root lends it another user."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.crash, self.end = signal.SIGQUIT, signal.SIGINT  # immediate, which is a crash; fast
        self.files = self.folder / "data"
        self.account = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name

    @property
    def url(self) -> str:
        """SQLAlchemy's URL of its only database."""
        return f"postgresql+psycopg://studio@{self.host}:{self.port}/postgres"

    @property
    def env(self) -> dict[str, str]:
        """What a studio is told."""
        return {"ATELIER_DATABASE_URL": self.url}

    def prepare(self) -> None:
        """Make the cluster of databases."""
        self.files.mkdir(mode=0o700)
        if os.geteuid() == 0:
            os.chown(self.files, pwd.getpwnam(self.account).pw_uid, grp.getgrnam(self.account).gr_gid)
            for parent in (self.folder, *self.folder.parents[:1]):
                parent.chmod(0o711)  # the lent user must pass
        command = [program("initdb"), "-D", str(self.files), "-U", "studio", "--auth=trust", "-N"]
        made = subprocess.run([*self._lent(), *command], capture_output=True, text=True, check=False, cwd="/")
        if made.returncode:
            raise NoServer(f"initdb: {made.stderr}")
        with (self.files / "pg_hba.conf").open("a") as file:
            file.write("host all all samenet trust\n")

    def command(self) -> list[str]:
        """Give the command; -k puts the socket into the folder."""
        options = {"listen_addresses": self.host, "port": self.port, "max_connections": 200, "shared_buffers": "32MB"}
        said = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        return [*self._lent(), program("postgres"), "-D", str(self.files), "-k", str(self.files), *said]

    def answers(self) -> bool:
        """Say whether it takes a query; while it recovers it refuses."""
        import psycopg

        try:
            with psycopg.connect(self.url.replace("+psycopg", ""), connect_timeout=2):
                return True
        except psycopg.OperationalError:
            return False

    def _lent(self) -> list[str]:
        if os.geteuid() != 0:
            return []
        return ["setpriv", f"--reuid={self.account}", f"--regid={self.account}", "--init-groups", "--pdeathsig=QUIT"]


class RabbitMQ(Server):
    """A node of its own, with its own port mapper, so that no other node is met."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.password = secrets.token_hex(8)
        self.mapper = free_port()
        self.distribution = free_port()
        self._epmd: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Celery's URL."""
        return f"amqp://studio:{self.password}@{self.host}:{self.port}//"

    @property
    def env(self) -> dict[str, str]:
        """What a studio is told."""
        return {"ATELIER_BROKER_URL": self.url}

    def prepare(self) -> None:
        """Write its settings, and start the port mapper, which would else outlive the node."""
        lines = {
            f"listeners.tcp.1 = {self.host}:{self.port}",
            "default_user = studio",
            f"default_pass = {self.password}",
            "disk_free_limit.absolute = 50MB",
        }
        (self.folder / "rabbitmq.conf").write_text("\n".join(sorted(lines)) + "\n")
        (self.folder / "plugins").write_text("[].\n")
        command = [*self.inside, program("epmd"), "-port", str(self.mapper), "-address", LOOPBACK]
        self._epmd = spawn(command, environment=os.environ, output=subprocess.DEVNULL)

    def command(self) -> list[str]:
        """Give the script behind the system's wrapper, which would change the user."""
        return [program("rabbitmq-server")]

    def environment(self) -> Mapping[str, str]:
        """Give the node its name, its ports and its folders."""
        own = {
            "NODENAME": f"lab{self.port}@localhost",
            "DIST_PORT": self.distribution,
            "CONFIG_FILE": self.folder / "rabbitmq",
            "MNESIA_BASE": self.folder / "mnesia",
            "LOG_BASE": self.folder / "logs",
            "PID_FILE": self.folder / "pid",
            "ENABLED_PLUGINS_FILE": self.folder / "plugins",
            "SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none -kernel inet_dist_use_interface {127,0,0,1}",
        }
        given = {f"RABBITMQ_{name}": str(value) for name, value in own.items()}
        # 3.10 looks for its own start-up file only where HOME is; the node's cookie lies there too.
        more = {"HOME": str(self.folder), "ERL_EPMD_PORT": str(self.mapper), "ERL_EPMD_ADDRESS": LOOPBACK}
        return {**os.environ, **given, **more}

    def answers(self) -> bool:
        """Say whether it takes a connection, which it does some seconds after it listens."""
        from kombu import Connection

        try:
            with Connection(self.url, connect_timeout=2) as connection:
                connection.ensure_connection(max_retries=1, timeout=2)
        except Exception:  # noqa: BLE001  # each transport raises its own
            return False
        return True

    def stop(self) -> None:
        """End the node and its port mapper."""
        super().stop()
        if self._epmd is not None:
            self._epmd.kill()
            self._epmd.wait()


class Redis(Server):
    """Valkey or Redis, whatever is there."""

    @property
    def url(self) -> str:
        """Celery's URL."""
        return f"redis://{self.host}:{self.port}/0"

    @property
    def env(self) -> dict[str, str]:
        """What a studio is told: where answers of workers come back."""
        return {"ATELIER_RESULT_URL": self.url}

    def command(self) -> list[str]:
        """Give the command."""
        options = {"port": self.port, "bind": self.host, "dir": self.folder, "save": "", "protected-mode": "no"}
        said = [part for name, value in options.items() for part in (f"--{name}", str(value))]
        return [str(broker.find_server().path), *said]


class Chroma(Server):
    """The search index."""

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{self.host}:{self.port}"

    @property
    def env(self) -> dict[str, str]:
        """What a studio is told."""
        return {"ATELIER_CHROMA_HOST": self.host, "ATELIER_CHROMA_PORT": str(self.port)}

    def command(self) -> list[str]:
        """Give `chroma run` without the second that importing its client takes."""
        start = "import sys, chromadb_rust_bindings; chromadb_rust_bindings.cli(['chroma', *sys.argv[1:]])"
        options = ["run", "--path", str(self.folder / "chroma"), "--host", self.host, "--port", str(self.port)]
        return [sys.executable, "-c", start, *options]


class S3(Server):
    """An S3 store in the memory of one process: it forgets all when it ends. `fail` makes it misbehave."""

    bucket = "atelier"

    @property
    def url(self) -> str:
        """The fsspec URL of the blobs; the endpoint is in `env`."""
        return f"s3://{self.bucket}/blobs"

    @property
    def env(self) -> dict[str, str]:
        """What a studio and its AWS library are told."""
        return {
            "ATELIER_BLOBS_URL": self.url,
            "AWS_ENDPOINT_URL": f"http://{self.host}:{self.port}",
            "AWS_ACCESS_KEY_ID": "studio",
            "AWS_SECRET_ACCESS_KEY": "laboratory",
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def command(self) -> list[str]:
        """Give the server with its faults."""
        return [sys.executable, "-m", "benchmarks.faulty_s3", self.host, str(self.port), self.bucket, str(self._fault)]

    def fail(self, how: str, seconds: float) -> None:
        """Misbehave for some seconds: "500", "hang" (no answer until then), or "drop" (the connection is cut)."""
        new = self._fault.with_suffix(".new")
        new.write_text(f"{how} {time.time() + seconds}")
        new.replace(self._fault)

    def heal(self) -> None:
        """End what `fail` began."""
        self._fault.unlink(missing_ok=True)

    @property
    def _fault(self) -> Path:
        return self.folder / "fault"


def program(name: str) -> str:
    """Find a server's program, also where it is not on the PATH.

    Raises:
        NoServer: it is not installed.
    """
    places: Sequence[Path] = {
        "rabbitmq-server": [Path("/usr/lib/rabbitmq/bin/rabbitmq-server")],
    }.get(name, sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True))
    found = next((str(place) for place in places if place.exists()), None) or shutil.which(name)
    if found is None:
        raise NoServer(f"{name} is not installed")
    return found


def free_port(host: str = LOOPBACK) -> int:
    """Give a port of an address that nobody listens on."""
    with socket.socket() as probe:
        try:
            probe.bind((host, 0))
        except OSError:  # an address of another network namespace, where all ports are free
            probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def connects(host: str, port: int) -> bool:
    """Say whether somebody listens."""
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


@contextlib.contextmanager
def all_running(*servers: Server) -> Iterator[None]:
    """Start servers side by side; stop them at the end."""
    try:
        for server in servers:
            server.launch()
        for server in servers:
            server.wait()
        yield
    finally:
        for server in servers:
            server.stop()
