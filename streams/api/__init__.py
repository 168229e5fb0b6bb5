"""The HTTP interface of `vectrue serve`. In the order of a request.

    connections.py how many there may be, and how long one may wait or be waited for
    guard.py       token, limits on size, time and number: before anything is read
    routes.py      the paths, and what stands in the OpenAPI page
    bodies.py      requests and answers
    engine.py      what the paths ask for, done off the event loop
    served.py      which columns, with which models; anew after a migration's swap
    batcher.py     texts that arrive together share a pass through the model
    database.py    a few threads with a session each
    coverage.py    how much of what is searched can be found, looked at beside the requests
    page.py        the description as a page
    judging.py     judged queries on a schedule
    query_log.py   searches kept for later, in nobody's way
    problems.py    errors as JSON: RFC 9457, and OpenAI's form for its endpoint

Hazard: no text of a request goes into a log line or an error.
"""
