"""Write ``web/src/api/schema.ts``: the models of the server's answers as TypeScript.

With ``--check`` nothing is written: exit code 1 if the file is not what it would be.

openapi-typescript does this for most people; it needs the compiler's API of TypeScript 5, which
TypeScript 7 does not have, and twenty kinds of schema we do not use.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from clew.server.app import create_app
from clew.store.store import Store

TARGET = Path(__file__).parents[1] / "web/src/api/schema.ts"
HEAD = """/** The server's answers. Written by tools/write_web_types.py from its OpenAPI document: do not edit. */
"""
PLAIN = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}


def type_script(models: dict[str, Any]) -> str:
    """Return one interface for each of *models*, sorted by name."""
    parts = [HEAD]
    for name, model in sorted(models.items()):
        wanted = model.get("required", [])
        lines = [f"/** {model['description']} */"] if "description" in model else []
        lines.append(f"export interface {name} {{")
        for member, schema in model.get("properties", {}).items():
            lines.append(f"  readonly {member}{'' if member in wanted else '?'}: {_type(schema)};")
        parts.append("\n".join([*lines, "}"]) + "\n")
    return "\n".join(parts)


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return schema["$ref"].rpartition("/")[2]
    if "enum" in schema:
        return " | ".join(f'"{word}"' for word in schema["enum"])
    if "anyOf" in schema:
        return " | ".join(_type(one) for one in schema["anyOf"])
    kind = schema.get("type")
    if kind == "array":
        inner = _type(schema.get("items", {}))
        is_single = " | " not in inner and not inner.startswith("readonly ")
        return f"readonly {inner}[]" if is_single else f"readonly ({inner})[]"
    if kind == "object":
        inner = schema.get("additionalProperties")
        return f"Readonly<Record<string, {_type(inner) if isinstance(inner, dict) else 'unknown'}>>"
    return PLAIN.get(kind or "", "unknown")


def answers() -> dict[str, Any]:
    """Return the models of the server's OpenAPI document that its answers are made of."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store.open(f"sqlite:///{folder}/catalog.db")
        try:
            models = create_app(store).openapi()["components"]["schemas"]
        finally:
            store.close()
    return {name: model for name, model in models.items() if model.get("type") == "object"}


def main() -> int:
    """Write the file, or check it."""
    text = type_script(answers())
    if "--check" in sys.argv[1:]:
        if TARGET.read_text(encoding="utf-8") == text:
            return 0
        print(f"{TARGET} is not what the server answers; write it anew: python tools/write_web_types.py")
        return 1
    TARGET.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
