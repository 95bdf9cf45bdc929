"""Webhooks as a receiver meets them: over real HTTP, from a real sender, signatures checked as the standard says."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from sqlalchemy import update

from benchmarks.desk import Desk
from store import runs, steering, tables, webhooks
from store.database import Database
from store.deliveries import EVENTS
from tools.addresses import Origin
from workers import deliveries as sending
from workers.deliveries import Sender

SOON_S = 60.0  # for a machine that is very busy
SQLITE = pytest.mark.parametrize("database", ["sqlite"], indirect=True)  # where the database makes no difference


@dataclass
class Message:
    """What came in, and how it was answered."""

    id: str
    timestamp: int
    signature: str
    body: bytes
    method: str = "POST"

    @property
    def said(self) -> Any:
        return json.loads(self.body)

    def is_signed(self, secret: str) -> bool:
        """Check it by the standard's own words: HMAC-SHA256 of "id.timestamp.body" with the decoded secret."""
        key = base64.b64decode(secret.split("_", 1)[1])
        content = self.id.encode() + b"." + str(self.timestamp).encode() + b"." + self.body
        expected = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
        versions = [one.split(",", 1) for one in self.signature.split(" ")]
        return any(version == "v1" and hmac.compare_digest(given, expected) for version, given in versions)


@dataclass
class Receiver:
    """A server that keeps what it gets. `answers`: what it answers next, then 204 for ever."""

    url: str = ""
    got: list[Message] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    hangs: bool = False


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            headers = self.headers
            body = self.rfile.read(int(headers["content-length"]))
            signature = headers["webhook-signature"]
            made.got.append(Message(headers["webhook-id"], int(headers["webhook-timestamp"]), signature, body))
            if made.hangs:
                made.over.wait(SOON_S)
                return
            self.send_response(made.answers.pop(0) if made.answers else 204)
            self.send_header("location", made.url + "/elsewhere")
            self.send_header("content-length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            made.got.append(Message("", 0, "", b"", method="GET"))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield made
    made.over.set()
    server.shutdown()
    thread.join()
    server.server_close()


@dataclass
class Post:
    """A studio with one webhook, and a worker that sends."""

    desk: Desk
    receiver: Receiver
    sender: Sender
    webhook: str
    secret: str

    def deliver(self) -> int:
        """Send all that is due, whenever it is due, and say how many attempts that were."""
        self.desk.database.transact(lambda c: c.execute(update(tables.deliveries).values(due_at=time.time() - 1)))
        return self.turn()

    def turn(self) -> int:
        """Send what is due now, and wait until it is known what came of it."""
        attempts = 0
        while begun := self.sender.turn():
            attempts += begun
            until(lambda: not self.sender._busy.total())
        return attempts

    def log(self) -> list[dict[str, Any]]:
        with self.desk.database.read() as connection:
            return webhooks.deliveries_of(connection, "ada", self.webhook)

    def one(self) -> dict[str, Any]:
        (found,) = self.log()
        return found


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + SOON_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def desk(database: Database) -> Desk:
    return Desk(database)


@pytest.fixture
def post(desk: Desk, receiver: Receiver) -> Iterator[Post]:
    sender = Sender(desk.database, [Origin.of(receiver.url)])
    webhook, secret = made(desk, receiver.url + "/hook")
    yield Post(desk, receiver, sender, webhook, secret)
    receiver.over.set()
    sender.close()


def made(desk: Desk, url: str) -> tuple[str, str]:
    webhook, secret = desk.database.transact(lambda c: webhooks.create(c, "ada", url, EVENTS, time.time()))
    return webhook.id, secret


def test_a_run_that_ended_is_told_once_and_signed(post: Post) -> None:
    run = post.desk.plan(post.desk.step("s1"), idempotency_key="private words")
    post.desk.fail(post.desk.one(), "no ink")
    assert post.turn() == 1
    (message,) = post.receiver.got
    assert message.is_signed(post.secret)
    assert not message.is_signed(webhooks.new_secret())
    assert abs(message.timestamp - time.time()) < SOON_S
    said = message.said
    assert (said["type"], said["data"]["id"], said["data"]["status"]) == ("run.failed", run, "failed")
    assert said["data"]["error"]["message"] == "no ink"
    assert said["timestamp"].endswith("Z")
    assert b"private words" not in message.body
    assert post.secret.encode() not in message.body
    seen = post.one()
    assert (seen["id"], seen["state"], seen["attempts"], seen["status_code"]) == (message.id, "delivered", 1, 204)
    assert post.deliver() == 0
    assert len(post.receiver.got) == 1


@SQLITE
def test_a_wait_for_approval_brings_the_plan(post: Post) -> None:
    post.desk.plan(post.desk.step("s1", args={"what": "cat"}), needs_approval=True)
    post.turn()
    (message,) = post.receiver.got
    assert message.said["type"] == "approval.required"
    assert message.said["data"]["plan"]["steps"] == [{"id": "s1", "tool": "draw", "args": {"what": "cat"}}]


def test_a_receiver_that_fails_twice_gets_it_the_third_time_with_the_same_id(post: Post) -> None:
    post.receiver.answers = [500, 503]
    post.desk.plan()
    assert post.turn() == 1
    first = post.one()
    assert (first["state"], first["status_code"]) == ("waiting", 500)
    assert "500" in first["error"]
    assert post.turn() == 0  # not before its time
    assert (post.deliver(), post.deliver()) == (1, 1)
    seen = post.one()
    assert (seen["state"], seen["attempts"], seen["status_code"], seen["error"]) == ("delivered", 3, 204, None)
    assert len({message.id for message in post.receiver.got}) == 1
    assert [message.is_signed(post.secret) for message in post.receiver.got] == [True] * 3


def test_a_worker_that_dies_between_sending_and_writing_sends_it_again_with_the_same_id(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        """The process is gone: nothing of ours runs after this."""

    def killed(*_: Any) -> None:
        raise Killed

    post.desk.plan()
    with monkeypatch.context() as patched:
        patched.setattr(Sender, "_answered", killed)
        assert post.turn() == 1
    assert len(post.receiver.got) == 1
    assert post.one()["state"] == "waiting"
    another = Sender(post.desk.database, [Origin.of(post.receiver.url)])
    assert another.turn() == 0  # its lease has not ended
    post.sender = another
    assert post.deliver() == 1
    first, second = post.receiver.got
    assert first.id == second.id == post.one()["id"]
    assert first.said == second.said
    assert post.one()["state"] == "delivered"
    another.close()


@SQLITE
def test_a_receiver_that_is_gone_is_not_asked_again(post: Post) -> None:
    post.receiver.answers = [410]
    post.desk.plan()
    post.turn()
    post.desk.plan()
    assert post.deliver() == 0
    with post.desk.database.read() as connection:
        assert not webhooks.require(connection, "ada", post.webhook).active
    seen = post.one()
    assert (seen["state"], seen["status_code"]) == ("failed", 410)
    assert "switched off" in seen["error"]


@SQLITE
def test_a_redirect_is_not_followed(post: Post) -> None:
    redirects = [301, 302, 303, 307, 308]
    post.receiver.answers = list(redirects)
    post.desk.plan()
    for status in redirects:
        assert post.deliver() == 1
        seen = post.one()
        assert (seen["state"], seen["status_code"]) == ("waiting", status)
        assert "redirect" in seen["error"]
    assert [message.method for message in post.receiver.got] == ["POST"] * len(redirects)


@SQLITE
def test_a_private_address_is_refused_unless_the_settings_name_it(post: Post) -> None:
    post.sender = Sender(post.desk.database)
    post.desk.plan()
    assert post.turn() == 1
    assert post.receiver.got == []
    seen = post.one()
    assert (seen["state"], seen["status_code"], seen["attempts"]) == ("failed", None, 1)
    assert "private" in seen["error"]
    post.sender.close()


@SQLITE
def test_nobody_there_is_tried_again(desk: Desk, post: Post) -> None:
    post.sender = Sender(desk.database, [Origin.of("http://127.0.0.1:1")])
    desk.database.transact(lambda c: webhooks.remove(c, "ada", post.webhook))
    post.webhook, _ = made(desk, "http://127.0.0.1:1/secret-path?token=hush")
    desk.plan()
    post.turn()
    seen = post.one()
    assert (seen["state"], seen["status_code"]) == ("waiting", None)
    assert "does not answer" in seen["error"]
    assert "hush" not in seen["error"]
    post.sender.close()


@SQLITE
def test_one_that_hangs_is_given_up(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "TIMEOUT_S", 0.5)
    post.receiver.hangs = True
    post.desk.plan()
    post.turn()
    seen = post.one()
    assert (seen["state"], seen["status_code"]) == ("waiting", None)
    assert "longer than" in seen["error"]


@SQLITE
def test_one_that_hangs_holds_up_nobody(post: Post, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "TIMEOUT_S", SOON_S)
    post.receiver.hangs = True
    for _ in range(5):
        desk.plan()
    while post.sender.turn():  # who looks for what is due does not wait for receivers
        pass
    assert post.sender._busy == {post.webhook: sending.EACH}
    until(lambda: len(post.receiver.got) == sending.EACH)
    post.receiver.hangs = False
    quick, _ = made(desk, post.receiver.url + "/quick")
    desk.plan()
    assert post.sender.turn() == 1  # the other one's alone
    until(lambda: post.sender._busy == {post.webhook: sending.EACH})
    with desk.database.read() as connection:
        assert [one["state"] for one in webhooks.deliveries_of(connection, "ada", quick)] == ["delivered"]


def test_two_workers_send_each_thing_once(post: Post) -> None:
    for _ in range(16):
        post.desk.plan()
    senders = [Sender(post.desk.database, [Origin.of(post.receiver.url)]) for _ in range(3)]

    def work(sender: Sender) -> None:
        idle = 0
        while idle < 5:
            idle = 0 if sender.turn() else idle + 1
            until(lambda: not sender._busy.total())

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(work, senders))
    for sender in senders:
        work(sender)
        sender.close()
    ids = [message.id for message in post.receiver.got]
    assert len(ids) == len(set(ids)) == 16


@SQLITE
def test_what_it_was_about_is_gone(post: Post) -> None:
    thread = post.desk.change(lambda t: runs.new_thread(t, "ada"))
    run = post.desk.say(thread_id=thread)
    post.desk.change(lambda t: steering.cancel(t, "ada", run))
    post.desk.database.transact(lambda c: c.execute(tables.runs.delete()))
    post.turn()
    assert post.receiver.got == []
    assert post.one()["state"] == "failed"


@SQLITE
def test_the_worker_looks_for_what_is_due_until_it_ends(post: Post) -> None:
    ended = threading.Event()
    thread = threading.Thread(target=post.sender.run, args=(ended,))
    thread.start()
    post.desk.plan()
    until(lambda: post.one()["state"] == "delivered")
    ended.set()
    thread.join(SOON_S)
    assert not thread.is_alive()


def test_the_standards_own_example_is_signed_as_it_says() -> None:
    secret, id_, body = (
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        b'{"test": 2432232314}',
    )
    assert sending.sign(secret, id_, 1614265330, body) == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
