"""The OpenAPI description as one HTML page: paths, fields, examples, errors, curl lines.

Not Swagger UI: this page runs no script and loads nothing, so its content security policy
can forbid both, and it works without network access.

Hazard: everything that is put into the template must be escaped here. The address in curl
lines comes from the Host header, so it is a client's text.
"""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse

Schema = Mapping[str, Any]

TEMPLATE = Path(__file__).with_name("page.html")
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
# The example of a value without one of its own, by type.
_PLAIN: dict[str, object] = {
    "string": "text",
    "integer": 1,
    "number": 0.5,
    "boolean": True,
    "null": None,
}


def add(app: FastAPI) -> None:
    """Add the page `/docs` to the application."""

    async def page(request: Request) -> HTMLResponse:
        text = render(app.openapi(), str(request.base_url).rstrip("/"))
        return HTMLResponse(text, headers={"Content-Security-Policy": _POLICY})

    app.add_route("/docs", page, include_in_schema=False)


def render(description: Schema, base: str) -> str:
    """Render the page.

    Args:
        description: OpenAPI 3.1, as FastAPI makes it.
        base: the server's address in curl lines.
    """
    return _Renderer(description, base).text()


class _Renderer:
    """Renders one description."""

    def __init__(self, description: Schema, base: str) -> None:
        self._description = description
        self._base = base
        self._shapes: dict[str, Schema] = dict(description["components"]["schemas"])
        self._sampled: set[str] = set()

    def text(self) -> str:
        """Render all of it."""
        about = self._description["info"]
        contents: list[str] = []
        paths: list[str] = []
        for path, methods in self._description["paths"].items():
            for method, operation in methods.items():
                name = f"<code>{method.upper()} {escape(path)}</code>"
                summary = escape(operation.get("summary", ""))
                contents.append(f'<li><a href="#{_anchor(path)}">{name}</a> {summary}</li>')
                paths += self._operation(path, method, operation)
        shapes: list[str] = []
        # After the paths, which may add shapes of their own.
        for name in sorted(self._shapes):
            shapes += self._shape(name, self._shapes[name])
        return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
            title=escape(f"{about['title']} {about['version']}"),
            about=_prose(about.get("description", "")),
            contents="\n".join(contents),
            paths="\n".join(paths),
            shapes="\n".join(shapes),
        )

    def _operation(self, path: str, method: str, operation: Schema) -> Iterator[str]:
        title = f"<code>{method.upper()} {escape(path)}</code>"
        summary = escape(operation.get("summary", ""))
        yield f'<h2 id="{_anchor(path)}">{title} <small>{summary}</small></h2>'
        yield _prose(operation.get("description", ""))
        content = operation.get("requestBody", {}).get("content", {})
        body = content.get("application/json", {}).get("schema")
        if body is None:
            yield f"<pre>{escape(self._curl(path, method, operation, None))}</pre>"
        else:
            yield f"<p>Body: {self._type(body)}</p>"
            for form in body.get("anyOf", [body]):
                yield f"<pre>{escape(self._curl(path, method, operation, form))}</pre>"
        yield from self._answers(operation["responses"])

    def _answers(self, responses: Schema) -> Iterator[str]:
        yield "<table><tr><th>Status</th><th>Answer</th><th>Body</th></tr>"
        samples: list[Schema] = []
        for status, answer in responses.items():
            kinds: list[str] = []
            for kind, one in answer.get("content", {}).items():
                kinds.append(f"{self._type(one['schema'])} <code>{escape(kind)}</code>")
                if "json" in kind:
                    samples.append(one["schema"])
            yield (
                f"<tr><td>{escape(status)}</td><td>{escape(answer['description'])}</td>"
                f"<td>{' or '.join(kinds)}</td></tr>"
            )
        yield "</table>"
        for schema in samples:
            yield from self._sample(schema)

    def _sample(self, schema: Schema) -> Iterator[str]:
        """Yield an example of an answer, once on the page."""
        name = self._type(schema)
        if name not in self._sampled:
            self._sampled.add(name)
            text = json.dumps(self._example(schema), ensure_ascii=False, indent=2)
            yield f"<p>{name}, for example:</p><pre>{escape(text)}</pre>"

    def _curl(self, path: str, method: str, operation: Schema, body: Schema | None) -> str:
        for one in operation.get("parameters", ()):
            path = path.replace(f"{{{one['name']}}}", str(self._example(one["schema"])))
        parts = ["curl", "-sS", shlex.quote(self._base + path)]
        if method not in ("get", "post"):
            parts += ["-X", method.upper()]
        if operation.get("security"):
            parts.append('-H "Authorization: Bearer $TOKEN"')
        if body is not None:
            example = json.dumps(self._example(body), ensure_ascii=False)
            parts += ["-H 'Content-Type: application/json'", f"-d {shlex.quote(example)}"]
        return " ".join(parts)

    def _shape(self, name: str, schema: Schema) -> Iterator[str]:
        yield f'<h3 id="{_anchor(name)}">{escape(name)}</h3>{_prose(schema.get("description", ""))}'
        yield "<table><tr><th>Field</th><th>Type</th><th>When left out</th><th>Meaning</th></tr>"
        required = schema.get("required", ())
        for field, one in schema.get("properties", {}).items():
            default = "required"
            if field not in required:
                default = f"<code>{_json(one.get('default'))}</code>"
            meaning = escape(one.get("description", ""))
            yield (
                f"<tr><td><code>{escape(field)}</code></td><td>{self._type(one)}</td>"
                f"<td>{default}</td><td>{meaning}</td></tr>"
            )
        yield "</table>"

    def _type(self, schema: Schema) -> str:
        """Return what a value may be, in words, with links to shapes."""
        if "anyOf" in schema:
            return " or ".join(self._type(one) for one in schema["anyOf"])
        name = _reference(schema)
        if name is None and "properties" in schema:
            name = schema["title"]
            self._shapes.setdefault(name, schema)
        if name is not None:
            return f'<a href="#{_anchor(name)}">{escape(name)}</a>'
        if "const" in schema or "enum" in schema:
            values = schema.get("enum", [schema.get("const")])
            return " or ".join(f"<code>{_json(value)}</code>" for value in values)
        if schema.get("type") == "array":
            some = "non-empty list of" if schema.get("minItems") else "list of"
            return f"{some} {self._type(schema.get('items', {}))}"
        if isinstance(schema.get("additionalProperties"), dict):
            return f"object, each value a {self._type(schema['additionalProperties'])}"
        return escape(_plain_type(schema))

    def _example(self, schema: Schema) -> object:
        """Return a value that fits; of required fields only, if there is no example."""
        if schema.get("examples"):
            return schema["examples"][0]
        name = _reference(schema)
        if name is not None:
            return self._example(self._shapes[name])
        if "anyOf" in schema:
            return self._example(schema["anyOf"][0])
        if "const" in schema or "enum" in schema:
            return schema.get("const", schema.get("enum", [None])[0])
        if schema.get("type") == "array":
            return [self._example(schema.get("items", {}))]
        if "properties" in schema:
            fields: dict[str, object] = {}
            for field in schema.get("required", ()):
                fields[field] = self._example(schema["properties"][field])
            return fields
        return _PLAIN.get(schema.get("type", ""))


def _reference(schema: Schema) -> str | None:
    return str(schema["$ref"]).rpartition("/")[2] if "$ref" in schema else None


def _plain_type(schema: Schema) -> str:
    kind = str(schema.get("format", schema.get("type", "any")))
    least, most = schema.get("minimum"), schema.get("maximum")
    if schema.get("minLength"):
        return f"non-empty {kind}"
    if least is not None and most is not None:
        return f"{kind}, {least:g} to {most:g}"
    if least is not None:
        return f"{kind}, at least {least:g}"
    return kind if most is None else f"{kind}, at most {most:g}"


def _anchor(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")


def _json(value: object) -> str:
    return escape(json.dumps(value, ensure_ascii=False))


def _prose(text: str) -> str:
    """Return paragraphs, with code where the text has backticks."""
    if not text.strip():
        return ""
    html = ""
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        marked = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(paragraph))
        html += f"<p>{marked}</p>"
    return html
