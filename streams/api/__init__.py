"""The HTTP interface of `vectrue serve`, in the order of a request.

    serve        the HTTP server: from its settings to its end
    connections  how many there may be, and how long one may wait
    guard        the door: token, limits on size, time and number
    routes       the paths, and the OpenAPI page
    bodies       requests and answers
    engine       what the paths ask for, done off the event loop
    served       which columns, with which models; anew after a migration's swap
    batcher      texts that arrive together share a pass through the model
    search_backend  where a search runs: models in the batcher's thread, Postgres in the pool
    database     a few threads with a session each
    coverage     how much a search can find, looked at beside the requests
    page         the description as a page, from page.html
    judging      judged queries on a schedule
    query_log    searches kept for later, in nobody's way
    problems     errors as JSON

Hazard: no text of a request goes into a log line or an error.
"""
