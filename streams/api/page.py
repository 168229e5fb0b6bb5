"""The OpenAPI description as a page that needs nothing from the network: paths, fields,
examples, errors, curl lines.

Hazard: whatever is put into the template is escaped here; an address is the Host
header's, so somebody else's text.
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
_PLAIN: dict[str, object] = {
    "string": "text",
    "integer": 1,
    "number": 0.5,
    "boolean": True,
    "null": None,
}
"""What stands in an example for a value that has none of its own, by type."""


def add(app: FastAPI) -> None:
    """Give the application its page, `/docs`."""

    async def page(request: Request) -> HTMLResponse:
        text = render(app.openapi(), str(request.base_url).rstrip("/"))
        return HTMLResponse(text, headers={"Content-Security-Policy": _POLICY})

    app.add_route("/docs", page, include_in_schema=False)


def render(description: Schema, base: str) -> str:
    """The page.

    Args:
        description: OpenAPI 3.1, as FastAPI makes it.
        base: address that the curl lines ask.
    """
    return _Page(description, base).text()


class _Page:
    """A description on its way to a page."""

    def __init__(self, description: Schema, base: str) -> None:
        self._description = description
        self._base = base
        self._shapes: dict[str, Schema] = dict(description["components"]["schemas"])
        self._sampled: set[str] = set()

    def text(self) -> str:
        """All of it; paths first, since they may have shapes of their own."""
        about = self._description["info"]
        operations = [
            (path, method, operation)
            for path, methods in self._description["paths"].items()
            for method, operation in methods.items()
        ]
        paths = [
            part
            for path, method, operation in operations
            for part in self._operation(path, method, operation)
        ]
        contents = [
            f'<li><a href="#{_anchor(path)}"><code>{method.upper()} {escape(path)}</code></a> '
            f"{escape(operation.get('summary', ''))}</li>"
            for path, method, operation in operations
        ]
        shapes = [
            part for name in sorted(self._shapes) for part in self._shape(name, self._shapes[name])
        ]
        return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
            title=escape(f"{about['title']} {about['version']}"),
            about=_prose(about.get("description", "")),
            contents="\n".join(contents),
            paths="\n".join(paths),
            shapes="\n".join(shapes),
        )

    def _operation(self, path: str, method: str, operation: Schema) -> Iterator[str]:
        title = f"<code>{method.upper()} {escape(path)}</code>"
        yield f'<h2 id="{_anchor(path)}">{title} <small>{escape(operation.get("summary", ""))}</small></h2>'
        yield _prose(operation.get("description", ""))
        body = (
            operation.get("requestBody", {})
            .get("content", {})
            .get("application/json", {})
            .get("schema")
        )
        if body is not None:
            yield f"<p>Body: {self._type(body)}</p>"
        for one in [None] if body is None else body.get("anyOf", [body]):
            yield f"<pre>{escape(self._curl(path, method, operation, one))}</pre>"
        yield "<table><tr><th>Status</th><th>Answer</th><th>Body</th></tr>"
        for status, answer in operation["responses"].items():
            content = answer.get("content", {})
            kinds = " or ".join(
                f"{self._type(one['schema'])} <code>{escape(kind)}</code>"
                for kind, one in content.items()
            )
            yield f"<tr><td>{escape(status)}</td><td>{escape(answer['description'])}</td><td>{kinds}</td></tr>"
        yield "</table>"
        for answer in operation["responses"].values():
            for kind, one in answer.get("content", {}).items():
                if "json" in kind:
                    yield from self._sample(one["schema"])

    def _sample(self, schema: Schema) -> Iterator[str]:
        """An answer as it looks, once on the page."""
        name = self._type(schema)
        if name not in self._sampled:
            self._sampled.add(name)
            text = json.dumps(self._example(schema), ensure_ascii=False, indent=2)
            yield f"<p>{name}, for example:</p><pre>{escape(text)}</pre>"

    def _curl(self, path: str, method: str, operation: Schema, body: Schema | None) -> str:
        for one in operation.get("parameters", ()):
            path = path.replace(f"{{{one['name']}}}", str(self._example(one["schema"])))
        parts = ["curl", "-sS", shlex.quote(self._base + path)]
        parts += [] if method in ("get", "post") else ["-X", method.upper()]
        parts += ['-H "Authorization: Bearer $TOKEN"'] if operation.get("security") else []
        if body is not None:
            example = json.dumps(self._example(body), ensure_ascii=False)
            parts += ["-H 'Content-Type: application/json'", f"-d {shlex.quote(example)}"]
        return " ".join(parts)

    def _shape(self, name: str, schema: Schema) -> Iterator[str]:
        yield f'<h3 id="{_anchor(name)}">{escape(name)}</h3>{_prose(schema.get("description", ""))}'
        yield "<table><tr><th>Field</th><th>Type</th><th>When left out</th><th>Meaning</th></tr>"
        required = schema.get("required", ())
        for field, one in schema.get("properties", {}).items():
            default = (
                "required" if field in required else f"<code>{_json(one.get('default'))}</code>"
            )
            meaning = escape(one.get("description", ""))
            yield (
                f"<tr><td><code>{escape(field)}</code></td><td>{self._type(one)}</td>"
                f"<td>{default}</td><td>{meaning}</td></tr>"
            )
        yield "</table>"

    def _type(self, schema: Schema) -> str:
        """What a value may be, in words, with links to shapes."""
        if "anyOf" in schema:
            return " or ".join(self._type(one) for one in schema["anyOf"])
        name = _reference(schema)
        if name is None and "properties" in schema:
            name = schema["title"]
            self._shapes.setdefault(name, schema)
        if name is not None:
            return f'<a href="#{_anchor(name)}">{escape(name)}</a>'
        if "const" in schema or "enum" in schema:
            return " or ".join(
                f"<code>{_json(one)}</code>" for one in schema.get("enum", [schema.get("const")])
            )
        if schema.get("type") == "array":
            return (
                f"{'non-empty ' if schema.get('minItems') else ''}list of "
                f"{self._type(schema.get('items', {}))}"
            )
        if isinstance(schema.get("additionalProperties"), dict):
            return f"object, each value a {self._type(schema['additionalProperties'])}"
        return escape(_plain_type(schema))

    def _example(self, schema: Schema) -> object:
        """A value that fits; required fields only, where the description has no
        example.
        """
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
            return {
                field: self._example(schema["properties"][field])
                for field in schema.get("required", ())
            }
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
    """Paragraphs; what stands in backticks is code."""
    paragraphs = re.split(r"\n\s*\n", text.strip()) if text.strip() else []
    marked = [re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(one)) for one in paragraphs]
    return "".join(f"<p>{one}</p>" for one in marked)
