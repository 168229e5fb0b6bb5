"""The HTTP interface of `vectrue serve`, in the order of a request.

    serve           starts and stops the HTTP server
    connections     limits on the number of connections and on their idle time
    guard           token, and limits on size, time and number of requests
    routes          the paths and their OpenAPI description
    page            the description as an HTML page, from page.html
    bodies          requests
    answers         answers
    problems        errors as JSON
    engine          handles the requests, without blocking the event loop
    search_backend  where a search runs: models in one thread, Postgres in a pool
    served          the searched columns and their models, read again after a migration
    batcher         embeds texts of several requests in one pass through the model
    database        a few threads with a session each
    coverage        how much a search can find, counted in the background
    judging         judged queries on a schedule
    query_log       searches stored in the background

Hazard: no text of a request goes into a log line or an error.
"""
