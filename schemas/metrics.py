"""Every metric's name, type and labels, once. Base units, `_total` on counters.

Hazard: label values are bounded: table names and outcomes, never keys, runs or hosts.
"""

from prometheus_client import Counter, Gauge, Histogram

EVENTS = Counter("embedsync_events", "Rows looked at by a lane, by what became of them", ["lane", "table", "outcome"])
TEXTS_ENCODED = Counter("embedsync_texts_encoded", "Texts that went through the model", ["lane"])
EMBED_SECONDS = Histogram(
    "embedsync_embed_duration_seconds",
    "Time of a call of the model: texts of like length of a micro-batch, or all of them",
    ["lane"],
    buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60),
)
WRITE_SECONDS = Histogram(
    "embedsync_write_duration_seconds",
    "Time of the transaction that writes a micro-batch, or a part of one",
    ["lane"],
    buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60),
)
FRESHNESS_SECONDS = Histogram(
    "embedsync_freshness_seconds",
    "From the commit of a change to its vector being written",
    ["table"],
    buckets=(0.02, 0.05, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 300, 1800),
)
RETRIES = Counter("embedsync_retries", "Batches tried again because a service was away", ["lane"])
DEAD_LETTERS = Counter("embedsync_dead_letters", "Events moved to the dead-letter topic", ["lane", "stage"])
DEFERRED = Counter("embedsync_deferred", "Rows handed to the deferred topic to be looked at later", ["lane", "reason"])
CANARY_SENT = Gauge(
    "embedsync_canary_sent_timestamp_seconds", "When the newest canary that came back was written", ["lane"]
)
CANARY_HOP = Gauge(
    "embedsync_canary_hop_seconds",
    "From the writing of that canary to each hop, by the clock of that hop: `captured`, `queued`, `worker`, `arrived`",
    ["hop"],
)
LOOKS_PENDING = Gauge("embedsync_looks_pending", "Tables of which all rows are yet to be looked at", ["lane"])
LOOKED_AGE = Gauge(
    "embedsync_looked_age_seconds",
    "Since somebody last did the keeper's work (`keeper`), compared what is configured with what is there (`watch`), "
    "looked at all rows (`rows`)",
    ["what"],
)
NEGLECTED = Gauge("embedsync_neglected", "1 where nobody did so for two periods", ["what"])
SLOT_STANDSTILL = Gauge(
    "embedsync_slot_standstill_seconds",
    "For how long the replication slot has stood still while the log moves",
    ["slot"],
)
REPLAY_WAITING = Gauge("embedsync_replay_waiting", "1 while the replay lane waits, by why", ["reason"])
REPLAY_WAIT_SECONDS = Counter("embedsync_replay_wait_seconds", "Time that the replay lane waited, by why", ["reason"])
LAST_PROGRESS = Gauge(
    "embedsync_last_progress_timestamp_seconds", "When a lane last finished a batch, or a part of one", ["lane"]
)
BATCH_ROWS_LEFT = Gauge(
    "embedsync_batch_rows_left",
    "Rows of the batch in hand that are yet to be handled, by stream: `sync`, `deferred`, `replay`",
    ["stream"],
)
RECONCILED = Counter("embedsync_reconciled_rows", "Rows that stayed stale and were sent through replay", ["table"])
LAST_RECONCILE = Gauge(
    "embedsync_last_reconcile_timestamp_seconds", "When this worker last looked at all rows of a table", ["table"]
)
DIFFERENCES = Gauge(
    "embedsync_configuration_differences",
    "Things configured that are not what is there, as a role last saw it",
    ["role"],
)
API_REQUESTS = Counter("embedsync_api_requests", "Requests to the HTTP server, by their answer", ["path", "status"])
API_IN_HAND = Gauge("embedsync_api_requests_in_hand", "Requests that the HTTP server works on now")
API_CUT = Counter(
    "embedsync_api_connections_cut",
    "Connections that the HTTP server cut: late (a request's headers, or the reader of its answer), room (too many)",
    ["reason"],
)
API_BATCH_TEXTS = Histogram(
    "embedsync_api_batch_texts",
    "Texts that shared a pass through the model",
    ["kind"],
    buckets=(1, 2, 4, 8, 16, 32, 64, 128),
)
SEARCH_SECONDS = Histogram(
    "embedsync_search_duration_seconds",
    "Time of a search: `embed` the query, its wait for a batch included; `database`; `total`",
    ["stage"],
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30),
)
SEARCH_TOP_SIMILARITY = Histogram(
    "embedsync_search_top_similarity",
    "Cosine similarity of the best row of a search; models do not share a scale",
    ["model"],
    buckets=(0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1),
)
SEARCH_EMPTY = Counter("embedsync_search_empty", "Searches that found nothing")
SEARCH_ROWS = Counter(
    "embedsync_search_rows",
    "Rows that searches found, by whether the vector is of the row's text as it is (`current`) or was (`stale`)",
    ["table", "state"],
)
JUDGED_QUALITY = Gauge(
    "embedsync_judged_quality",
    "What judged queries found when they were last asked, by any server: `nDCG@10`, `recall@10`, `MRR@10`",
    ["table", "model", "measure"],
)
JUDGED_SECONDS = Gauge(
    "embedsync_judged_duration_seconds",
    "Time of a judged query when they were last asked; quantile 0.5 and 0.95",
    ["table", "model", "quantile"],
)
LAST_JUDGED = Gauge("embedsync_last_judged_timestamp_seconds", "When judged queries were last asked", ["table"])
JUDGED_FAILURES = Counter("embedsync_judged_failures", "Times that judged queries could not be asked", ["table"])
QUERY_LOG = Counter(
    "embedsync_query_log",
    "Searches for the query log: `written`, or dropped since it was `full`, the `database` away, the server `stopped`",
    ["outcome"],
)
FEEDBACK = Counter("embedsync_feedback", "Opinions on rows that a search found", ["useful"])
CONNECTOR_RESTARTS = Counter("embedsync_connector_restarts", "Restarts of a failed connector", ["connector"])
CONNECTOR_LEFT = Gauge(
    "embedsync_connector_left",
    "1 while a connector that keeps failing for the same reason is left alone",
    ["connector"],
)
