"""Every table. Times are seconds since 1970 in UTC, as double precision floats.

The schema of a database comes from `migrations/`; a test compares the two.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

threads = Table(
    "threads",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("owner", String(80), nullable=False),
    Column("title", Text, nullable=False, default=""),
    Column("created_at", Double, nullable=False),
    Index(None, "owner", "created_at"),
)

messages = Table(
    "messages",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("thread_id", ForeignKey("threads.id", ondelete="CASCADE"), nullable=False),
    Column("run_id", String(40)),
    Column("role", String(16), nullable=False),  # user, assistant
    Column("content", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Index(None, "thread_id", "created_at"),
)

batches = Table(
    "batches",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("owner", String(80), nullable=False),
    Column("status", String(20), nullable=False),  # in_progress, cancelling, completed, cancelled
    Column("input_sha256", String(64), nullable=False),
    Column("position_bytes", BigInteger, nullable=False, default=0),  # how far the input was read
    Column("lines", Integer, nullable=False, default=0),  # how many lines were read
    Column("exhausted", Boolean, nullable=False, default=False),  # the whole input was read
    Column("input_file_id", String(40)),  # where it came as OpenAI's clients send it
    Column("endpoint", String(80)),  # the same: what each line asks
    Column("labels", JSON),  # the same: what the client calls metadata
    Column("created_at", Double, nullable=False),
    Column("ended_at", Double),
    Index(None, "owner", "created_at"),
)

BY_KEY = "key_id IS NOT NULL"
OPEN_RUNS = "status IN ('pending', 'planning', 'waiting_approval', 'in_progress', 'cancelling')"

runs = Table(
    "runs",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("owner", String(80), nullable=False),
    Column("thread_id", ForeignKey("threads.id", ondelete="CASCADE")),
    Column("batch_id", ForeignKey("batches.id", ondelete="CASCADE")),
    Column("status", String(20), nullable=False),
    Column("priority", Integer, nullable=False),  # lower goes first
    Column("request", Text),  # what was said; None for a plan that came ready
    Column("plan", JSON),
    Column("plan_only", Boolean, nullable=False, default=False),
    Column("needs_approval", Boolean, nullable=False, default=False),
    Column("reply", Text),
    Column("error", JSON),
    Column("idempotency_key", String(200)),
    Column("last_event", Integer, nullable=False, default=0),  # highest sequence number given
    Column("traceparent", String(55)),  # W3C Trace Context of the request that it came with
    Column("key_id", String(40)),  # of the key that it was asked with; None: no key, or a part of a batch
    Column("created_at", Double, nullable=False),
    Column("started_at", Double),
    Column("ended_at", Double),
    Index(None, "owner", "id"),  # lists are by id, which sorts by time
    Index(None, "thread_id"),
    Index(None, "batch_id", "status"),
    Index("ix_runs_key", "key_id", "created_at", sqlite_where=text(BY_KEY), postgresql_where=text(BY_KEY)),
    Index("ix_runs_open", "status", sqlite_where=text(OPEN_RUNS), postgresql_where=text(OPEN_RUNS)),
    UniqueConstraint("owner", "idempotency_key"),
)

QUEUED = "status = 'queued'"
UNTRIED = "status = 'queued' AND attempts = 0"
HELD = "status = 'in_progress'"
LINES = ("queue", "tool", "priority", "owner", "available_at", "position")
SIBLINGS = ("queue", "batch_key", "priority", "available_at", "position")

# Planning and answering are steps too (tools "studio.plan" and "studio.reply"), so that one lease, one reaper
# and one attempt counter serve all work. Their names begin with "studio."; plans cannot use them.
steps = Table(
    "steps",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("run_id", ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
    Column("owner", String(80), nullable=False),
    Column("name", String(40), nullable=False),  # the id in the plan: s1, s2, …
    Column("position", Integer, nullable=False),
    Column("tool", String(120), nullable=False),
    Column("args", JSON, nullable=False),
    Column("queue", String(40), nullable=False),
    Column("batch_key", String(200)),
    Column("status", String(20), nullable=False),
    Column("priority", Integer, nullable=False),
    Column("available_at", Double, nullable=False),  # not claimed before; its age counts from here
    Column("attempts", Integer, nullable=False, default=0),  # counted at the claim
    Column("max_attempts", Integer, nullable=False, default=3),
    Column("token", Integer, nullable=False, default=0),  # the fence: raised at each claim
    Column("lease_until", Double),
    Column("worker", String(120)),
    Column("recipe_hash", String(64)),
    Column("percent", Integer, nullable=False, default=0),
    Column("error", JSON),
    Column("created_at", Double, nullable=False),
    Column("started_at", Double),
    Column("ended_at", Double),
    UniqueConstraint("run_id", "name"),
    # What waits, line by line; what can share a call; what a dead worker may hold. They hold what is open, no more.
    Index("ix_steps_lines", *LINES, sqlite_where=text(QUEUED), postgresql_where=text(QUEUED)),
    Index("ix_steps_siblings", *SIBLINGS, sqlite_where=text(UNTRIED), postgresql_where=text(UNTRIED)),
    Index("ix_steps_leases", "lease_until", sqlite_where=text(HELD), postgresql_where=text(HELD)),
    Index(None, "owner", "recipe_hash", "ended_at"),
)

step_needs = Table(
    "step_needs",
    metadata,
    Column("step_id", ForeignKey("steps.id", ondelete="CASCADE"), primary_key=True),
    Column("needs_id", ForeignKey("steps.id", ondelete="CASCADE"), primary_key=True),
    Index(None, "needs_id"),
)

# Who was served last, for fair share between owners of one priority.
shares = Table(
    "shares",
    metadata,
    Column("owner", String(80), primary_key=True),
    Column("served_at", Double, nullable=False),
)

# A message that must reach a worker: sent after the commit, sent again until the work that it announces is claimed.
outbox = Table(
    "outbox",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("task", String(40), nullable=False),  # "step" or "feed"
    Column("ref_id", String(40), nullable=False),
    Column("queue", String(40), nullable=False),
    Column("due_at", Double, nullable=False),  # when it is sent (again)
    Column("sends", Integer, nullable=False, default=0),
    UniqueConstraint("task", "ref_id"),
    Index(None, "due_at"),
)

events = Table(
    "events",
    metadata,
    Column("run_id", ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("sequence_number", Integer, primary_key=True),
    Column("type", String(40), nullable=False),
    Column("data", JSON, nullable=False),
    Column("created_at", Double, nullable=False),
)

batch_rows = Table(
    "batch_rows",
    metadata,
    Column("batch_id", ForeignKey("batches.id", ondelete="CASCADE"), primary_key=True),
    Column("line", Integer, primary_key=True),  # from 1
    Column("run_id", String(40)),
    Column("error", JSON),  # the line itself was faulty
    Index(None, "run_id"),
)

assets = Table(
    "assets",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("owner", String(80), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("media_type", String(80), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("caption", Text, nullable=False),
    Column("width", Integer),
    Column("height", Integer),
    Column("seconds", Double),
    Column("seed", BigInteger),
    Column("recipe", JSON),  # {"tool", "version", "args", "weights"}; None for an upload
    Column("weights_hash", String(64)),
    Column("licence", Text),
    Column("thumbnail_sha256", String(64)),
    Column("sources", JSON),  # where a text comes from: [{"solution", "document", "place"}]; None: not from documents
    Column("run_id", String(40)),
    Column("step_id", String(40)),
    Column("created_at", Double, nullable=False),
    Column("deleted_at", Double),
    Index(None, "owner", "created_at"),
    Index(None, "sha256"),
    Index(None, "run_id"),
)

step_assets = Table(
    "step_assets",
    metadata,
    Column("step_id", ForeignKey("steps.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("asset_id", ForeignKey("assets.id"), nullable=False),
    Index(None, "asset_id"),
)

asset_tags = Table(
    "asset_tags",
    metadata,
    Column("asset_id", ForeignKey("assets.id", ondelete="CASCADE"), primary_key=True),
    Column("tag", String(80), primary_key=True),
    Index(None, "tag"),
)

asset_edges = Table(
    "asset_edges",
    metadata,
    Column("child_id", ForeignKey("assets.id", ondelete="CASCADE"), primary_key=True),
    Column("parent_id", ForeignKey("assets.id"), primary_key=True),
    Index(None, "parent_id"),
)

PENDING = "indexed_at IS NULL"

# Unit vectors for search ("text/…" spaces) and the generators' latents ("latent/…"), float32, little endian.
vectors = Table(
    "vectors",
    metadata,
    Column("asset_id", ForeignKey("assets.id", ondelete="CASCADE"), primary_key=True),
    Column("space", String(120), primary_key=True),
    Column("owner", String(80), nullable=False),
    Column("shape", JSON, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("digest", String(32), nullable=False),  # of the content: equal vectors are one entry of the index
    Column("indexed_at", Double),  # when the index took it; None: not yet; 0: never, it is no text space
    Index(None, "owner", "space", "indexed_at"),
    Index(None, "owner", "space", "digest"),
    Index("ix_vectors_pending", "asset_id", sqlite_where=text(PENDING), postgresql_where=text(PENDING)),
)

# Who is there: each worker process writes its row every second.
workers = Table(
    "workers",
    metadata,
    Column("name", String(120), primary_key=True),
    Column("queues", JSON, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("seen_at", Double, nullable=False),
    Column("models", JSON, nullable=False),  # resident families, and how often each was loaded
    # What it can do. None: a worker of a release before these columns.
    Column("host", String(255)),
    Column("version", String(40)),
    Column("device", JSON),  # {"kind": "cpu" or "cuda", "name", "memory_bytes"}
    Column("tools", JSON),  # the tools that it runs; None: all of its queues
    Column("families", JSON),  # the nets that it may load; None: all
    Column("slots", Integer),  # steps at once
    Column("busy", Integer),  # steps that it holds
    Column("draining", Boolean),  # it was asked to end and takes nothing new
)

# Who may ask: only the hash of a key is kept.
keys = Table(
    "keys",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("owner", String(80), nullable=False),
    Column("name", String(80), nullable=False),  # for people
    Column("scopes", JSON, nullable=False),  # of read, make, admin
    Column("sha256", String(64), nullable=False, unique=True),
    Column("hint", String(16), nullable=False),  # its first letters
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double),
    Column("used_at", Double),  # to the minute
    Column("revoked_at", Double),
    Column("limits", JSON),  # how much may be asked with it; None: no limit
    Index(None, "owner", "created_at"),
)

# Where an owner wants to hear what ended.
webhooks = Table(
    "webhooks",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("owner", String(80), nullable=False),
    Column("url", Text, nullable=False),
    Column("events", JSON, nullable=False),  # names of events
    Column("secret", Text, nullable=False),  # to sign with; the receiver has it too
    Column("active", Boolean, nullable=False, default=True),
    Column("created_at", Double, nullable=False),
    Index(None, "owner", "created_at"),
)

DUE = "state = 'waiting'"

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", String(40), primary_key=True),  # the same at each attempt: receivers know a message by it
    Column("webhook_id", ForeignKey("webhooks.id", ondelete="CASCADE"), nullable=False),
    Column("event", String(40), nullable=False),
    Column("subject_id", String(40), nullable=False),  # the run or the batch
    Column("state", String(16), nullable=False),  # waiting, delivered, failed
    Column("attempts", Integer, nullable=False, default=0),
    Column("due_at", Double, nullable=False),
    Column("status_code", Integer),  # the last answer
    Column("error", Text),
    Column("created_at", Double, nullable=False),
    Column("ended_at", Double),
    UniqueConstraint("webhook_id", "subject_id", "event"),
    Index("ix_deliveries_due", "due_at", sqlite_where=text(DUE), postgresql_where=text(DUE)),
)

# What clients uploaded to be used later, as OpenAI's clients do.
files = Table(
    "files",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("owner", String(80), nullable=False),
    Column("name", String(200), nullable=False),
    Column("purpose", String(40), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("created_at", Double, nullable=False),
    Index(None, "owner", "id"),
)

collections = Table(
    "collections",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("owner", String(80), nullable=False),
    Column("name", String(80), nullable=False),
    Column("created_at", Double, nullable=False),
    UniqueConstraint("owner", "name"),
)

collection_assets = Table(
    "collection_assets",
    metadata,
    Column("collection_id", ForeignKey("collections.id", ondelete="CASCADE"), primary_key=True),
    Column("asset_id", ForeignKey("assets.id", ondelete="CASCADE"), primary_key=True),
    Column("added_at", Double, nullable=False),
    Index(None, "asset_id"),
)

# What a company plugged in. The tools that a plan can use are the approved ones, whatever the solution says today.
solutions = Table(
    "solutions",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("kind", String(16), nullable=False),  # mcp, openapi, knowledge, style
    Column("owner", String(80)),  # None: everyone may use it
    Column("declaration", JSON, nullable=False),  # secrets only by name
    Column("source", String(8), nullable=False),  # file: atelier.toml, api
    Column("state", String(16), nullable=False),  # new, approved, changed, failing, aside
    Column("offered", JSON),  # the tools as it last described them
    Column("approved", JSON),  # the tools as they were approved
    Column("approved_digest", String(64)),
    Column("error", JSON),  # {"message", "at"}: the last one
    Column("failures", Integer, nullable=False, default=0),  # in a row
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),  # what is declared, offered, approved or its state changed
    Column("checked_at", Double),
)

# What was asked of solutions: for limits, and for people who want to know what happened.
solution_calls = Table(
    "solution_calls",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("solution", ForeignKey("solutions.name", ondelete="CASCADE"), nullable=False),
    Column("tool", String(120), nullable=False),
    Column("owner", String(80), nullable=False),
    Column("run_id", String(40)),
    Column("step_id", String(40)),
    Column("started_at", Double, nullable=False),
    Column("ended_at", Double),
    Column("size_bytes", BigInteger),
    Column("error", Text),
    Index(None, "solution", "started_at"),
)

# The documents of solutions of kind "knowledge", and the passages that they were split into.
documents = Table(
    "documents",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("solution", ForeignKey("solutions.name", ondelete="CASCADE"), nullable=False),
    Column("path", Text, nullable=False),  # below its folder, or the name of an upload
    Column("origin", Text, nullable=False),  # the folder, or "upload"
    Column("sha256", String(64), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("modified_at", Double, nullable=False),
    Column("read_at", Double, nullable=False),  # 0: not yet
    Column("space", String(120), nullable=False),  # of its passages: how it was split, and the encoder's space
    Column("title", Text, nullable=False, default=""),
    Column("error", Text),  # why it could not be read
    Column("created_at", Double, nullable=False),
    UniqueConstraint("solution", "origin", "path"),
)

passages = Table(
    "passages",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("document_id", ForeignKey("documents.id", ondelete="CASCADE"), nullable=False),
    Column("solution", String(32), nullable=False),
    Column("position", Integer, nullable=False),
    Column("place", Text, nullable=False, default=""),  # headings, or the page
    Column("content", Text, nullable=False),
    Column("space", String(120), nullable=False),
    Column("vectors", LargeBinary, nullable=False),  # of its parts: (n, D) float16, little endian, unit length
    Index(None, "document_id"),
    Index(None, "solution", "space"),
    sqlite_autoincrement=True,  # a number is never given twice: count and highest number tell whether all is as it was
)

# Weights that were trained here: bytes in the blob store, newest of a name wins.
model_versions = Table(
    "model_versions",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("family", String(40), nullable=False),  # style
    Column("name", String(40), nullable=False),
    Column("owner", String(80)),  # None: everyone may use it
    Column("sha256", String(64), nullable=False),  # of the weights
    Column("licence", Text),
    Column("card", JSON, nullable=False),  # data, size, time, measure
    Column("run_id", String(40)),
    Column("created_at", Double, nullable=False),
    Column("retired_at", Double),
    Index(None, "family", "name", "created_at"),
)

# Where a long step goes on after a crash: the newest checkpoint of its work.
checkpoints = Table(
    "checkpoints",
    metadata,
    Column("step_id", ForeignKey("steps.id", ondelete="CASCADE"), primary_key=True),
    Column("sha256", String(64), nullable=False),
    Column("saved_at", Double, nullable=False),
)
