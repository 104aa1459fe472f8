"""The page's types of the server's answers."""

from __future__ import annotations

from tools.write_web_types import TARGET, answers, type_script


def test_the_page_knows_the_answers_the_server_gives():
    """`web/src/api/schema.ts` is what tools/write_web_types.py writes from the OpenAPI document."""
    assert TARGET.read_text(encoding="utf-8") == type_script(answers())


def test_types_are_written_as_the_page_reads_them():
    """Optional members, unions, lists of unions, maps and other models."""
    model = {
        "description": "A thing.",
        "required": ["name", "next"],
        "properties": {
            "name": {"type": "string"},
            "next": {"anyOf": [{"$ref": "#/components/schemas/Thing"}, {"type": "null"}]},
            "words": {"type": "array", "items": {"enum": ["a", "b"]}},
            "counts": {"type": "object", "additionalProperties": {"type": "integer"}},
            "cells": {"type": "array", "items": {"type": "array", "items": {}}},
        },
    }

    written = type_script({"Thing": model}).splitlines()[2:]

    assert written == [
        "/** A thing. */",
        "export interface Thing {",
        "  readonly name: string;",
        "  readonly next: Thing | null;",
        '  readonly words?: readonly ("a" | "b")[];',
        "  readonly counts?: Readonly<Record<string, number>>;",
        "  readonly cells?: readonly (readonly unknown[])[];",
        "}",
    ]
