"""Kafka Connect as lists and dicts, for tests of what a real one says too rarely."""

import json

import httpx


class FakeConnect:
    """Kafka Connect as far as the client uses it."""

    def __init__(self) -> None:
        self.connectors: dict[str, dict[str, str]] = {}
        self.states: dict[str, str] = {}
        self.trace: str | None = None
        self.refuses: str | None = None
        self.rebalances = 0
        self.calls: list[str] = []
        self.offsets: list[dict[str, object]] = []
        self.plugins: list[dict[str, str]] = []

    def answer(self, request: httpx.Request) -> httpx.Response:
        call = f"{request.method} {request.url.raw_path.decode()}"
        if self.rebalances:
            self.rebalances -= 1
            return httpx.Response(409, json={"message": "rebalance"})
        self.calls.append(call)
        body = json.loads(request.content or b"{}")
        if call == "POST /connectors":
            return self._put(body["name"], body["config"], body["initial_state"])
        parts = request.url.path.strip("/").split("/")
        if parts == [""]:
            return httpx.Response(200, json={"version": "4.3.1"})
        if parts == ["connector-plugins"]:
            return httpx.Response(200, json=self.plugins)
        name, what = parts[1], parts[2] if len(parts) > 2 else ""
        if name not in self.connectors:
            return httpx.Response(404, json={"message": "none"})
        return self._about(request.method, name, what, body)

    def _about(self, method: str, name: str, what: str, body: dict[str, str]) -> httpx.Response:
        match method, what:
            case "GET", "config":
                return httpx.Response(200, json=self.connectors[name])
            case "PUT", "config":
                return self._put(name, body, self.states[name])
            case "GET", "status":
                return httpx.Response(200, json=self._status(name))
            case "PUT", "stop" | "resume":
                self.states[name] = "STOPPED" if what == "stop" else "RUNNING"
                return httpx.Response(204)
            case "GET", "offsets":
                return httpx.Response(200, json={"offsets": self.offsets})
            case "DELETE", "offsets":
                return httpx.Response(
                    200 if self.states[name] == "STOPPED" else 400,
                    json={"message": "stop it first"},
                )
        return httpx.Response(405, json={"message": "no"})

    def _put(self, name: str, config: dict[str, str], state: str) -> httpx.Response:
        if self.refuses:
            return httpx.Response(400, json={"error_code": 400, "message": self.refuses})
        self.connectors[name] = config
        self.states[name] = state
        return httpx.Response(201, json={})

    def _status(self, name: str) -> dict[str, object]:
        state = self.states[name]
        tasks: list[dict[str, object]] = [] if state == "STOPPED" else [{"id": 0, "state": state}]
        if tasks and self.trace is not None:
            tasks = [{"id": 0, "state": "FAILED", "trace": self.trace}]
        return {"connector": {"state": state}, "tasks": tasks}
