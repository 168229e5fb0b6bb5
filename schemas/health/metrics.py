"""Every metric's name, type and labels, once. Base units, `_total` on counters.

Hazard: label values are bounded: table names and outcomes, never keys, runs or hosts.
"""

from prometheus_client import Counter, Gauge, Histogram

EVENTS = Counter(
    "vectrue_events",
    "Rows looked at by a lane, by what became of them",
    ["lane", "table", "outcome"],
)
TEXTS_ENCODED = Counter("vectrue_texts_encoded", "Texts that went through the model", ["lane"])
EMBED_SECONDS = Histogram(
    "vectrue_embed_duration_seconds",
    "Time of a call of the model: texts of similar length of a micro-batch, or all of them",
    ["lane"],
    buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60),
)
WRITE_SECONDS = Histogram(
    "vectrue_write_duration_seconds",
    "Time of the transaction that writes a micro-batch, or a part of one",
    ["lane"],
    buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60),
)
FRESHNESS_SECONDS = Histogram(
    "vectrue_freshness_seconds",
    "From the commit of a change to its vector being written",
    ["table"],
    buckets=(0.02, 0.05, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 300, 1800),
)
RETRIES = Counter("vectrue_retries", "Batches tried again because a service was away", ["lane"])
DEAD_LETTERS = Counter(
    "vectrue_dead_letters", "Events moved to the dead-letter topic", ["lane", "stage"]
)
DEFERRED = Counter(
    "vectrue_deferred",
    "Rows handed to the deferred topic to be looked at later",
    ["lane", "reason"],
)
CANARY_SENT = Gauge(
    "vectrue_canary_sent_timestamp_seconds",
    "When the newest canary that came back was written",
    ["lane"],
)
CANARY_HOP = Gauge(
    "vectrue_canary_hop_seconds",
    (
        "From the writing of that canary to each hop, by the clock of that hop: `captured`, "
        "`queued`, `worker`, `arrived`"
    ),
    ["hop"],
)
LOOKS_PENDING = Gauge(
    "vectrue_looks_pending", "Tables of which all rows are yet to be looked at", ["lane"]
)
LOOKED_AGE = Gauge(
    "vectrue_looked_age_seconds",
    "Since a worker last did the keeper's work (`keeper`), compared what is configured with "
    "what is there (`watch`), "
    "looked at all rows (`rows`)",
    ["what"],
)
NEGLECTED = Gauge("vectrue_neglected", "1 where no worker did so for two periods", ["what"])
SLOT_STANDSTILL = Gauge(
    "vectrue_slot_standstill_seconds",
    "For how long the replication slot has stood still while the log moves",
    ["slot"],
)
REPLAY_WAITING = Gauge(
    "vectrue_replay_waiting", "1 while the replay lane waits, by why", ["reason"]
)
REPLAY_WAIT_SECONDS = Counter(
    "vectrue_replay_wait_seconds", "Time that the replay lane waited, by why", ["reason"]
)
LAST_PROGRESS = Gauge(
    "vectrue_last_progress_timestamp_seconds",
    "When a lane last finished a batch, or a part of one",
    ["lane"],
)
BATCH_ROWS_LEFT = Gauge(
    "vectrue_batch_rows_left",
    "Rows of the batch in hand that are yet to be handled, by stream: `sync`, `deferred`, `replay`",
    ["stream"],
)
RECONCILED = Counter(
    "vectrue_reconciled_rows", "Rows that stayed stale and were sent through replay", ["table"]
)
LAST_RECONCILE = Gauge(
    "vectrue_last_reconcile_timestamp_seconds",
    "When this worker last looked at all rows of a table",
    ["table"],
)
DIFFERENCES = Gauge(
    "vectrue_configuration_differences",
    "Things configured that are not what is there, as a role last saw it",
    ["role"],
)
API_REQUESTS = Counter(
    "vectrue_api_requests", "Requests to the HTTP server, by their answer", ["path", "status"]
)
API_IN_HAND = Gauge("vectrue_api_requests_in_hand", "Requests that the HTTP server works on now")
API_CUT = Counter(
    "vectrue_api_connections_cut",
    (
        "Connections that the HTTP server cut: late (a request's headers, or the reader of its "
        "answer), room (too many)"
    ),
    ["reason"],
)
API_BATCH_TEXTS = Histogram(
    "vectrue_api_batch_texts",
    "Texts that shared a pass through the model",
    ["kind"],
    buckets=(1, 2, 4, 8, 16, 32, 64, 128),
)
SEARCH_SECONDS = Histogram(
    "vectrue_search_duration_seconds",
    "Time of a search: `embed` the query, its wait for a batch included; `database`; `total`",
    ["stage"],
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30),
)
SEARCH_TOP_SIMILARITY = Histogram(
    "vectrue_search_top_similarity",
    "Cosine similarity of the best row of a search; models do not share a scale",
    ["model"],
    buckets=(0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1),
)
SEARCH_EMPTY = Counter("vectrue_search_empty", "Searches that found nothing")
SEARCH_ROWS = Counter(
    "vectrue_search_rows",
    (
        "Rows that searches found, by whether the vector is of the row's text as it is (`current`) "
        "or was (`stale`)"
    ),
    ["table", "state"],
)
JUDGED_QUALITY = Gauge(
    "vectrue_judged_quality",
    (
        "What judged queries found when they were last asked, by any server: `nDCG@10`, "
        "`recall@10`, `MRR@10`"
    ),
    ["table", "model", "measure"],
)
JUDGED_SECONDS = Gauge(
    "vectrue_judged_duration_seconds",
    "Time of a judged query when they were last asked; quantile 0.5 and 0.95",
    ["table", "model", "quantile"],
)
LAST_JUDGED = Gauge(
    "vectrue_last_judged_timestamp_seconds", "When judged queries were last asked", ["table"]
)
JUDGED_FAILURES = Counter(
    "vectrue_judged_failures", "Times that judged queries could not be asked", ["table"]
)
QUERY_LOG = Counter(
    "vectrue_query_log",
    (
        "Searches for the query log: `written`, or dropped since it was `full`, the `database` "
        "away, the server `stopped`"
    ),
    ["outcome"],
)
FEEDBACK = Counter("vectrue_feedback", "Opinions on rows that a search found", ["useful"])
CONNECTOR_RESTARTS = Counter(
    "vectrue_connector_restarts", "Restarts of a failed connector", ["connector"]
)
CONNECTOR_LEFT = Gauge(
    "vectrue_connector_left",
    "1 while a connector that keeps failing for the same reason is left alone",
    ["connector"],
)
