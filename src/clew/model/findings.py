"""What an analysis concludes: a finding, with what it is about and what it rests on.

The JSON of a finding is a contract (docs/reference/cli-json.md): members are only added.
"""

from __future__ import annotations

from dataclasses import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal, TypeAlias

    Severity: TypeAlias = Literal["info", "warning", "error", "critical"]
    Confidence: TypeAlias = Literal["proved", "likely", "possible"]

SEVERITIES = ("critical", "error", "warning", "info")
"""The gravest first."""


@dataclass(frozen=True, slots=True)
class Site:
    """A place in the code."""

    file: str
    line: int
    function: str

    def to_json(self) -> dict[str, Any]:
        """Return its JSON."""
        return {"file": self.file, "line": self.line, "function": self.function}


@dataclass(frozen=True, slots=True)
class Subject:
    """An entity that a finding is about.

    Attributes:
        kind: A slug of ``EntityKind``.
        id: Its number in its process.
        process: The id of the process, 16 hex digits.
        role: What it has to do with it: ``raiser``, ``waiter``, ``holder`` …
        site: The line in the user's code.
    """

    kind: str
    id: str
    name: str
    process: str
    role: str
    site: Site | None

    def to_json(self) -> dict[str, Any]:
        """Return its JSON."""
        return {
            "type": "entity",
            "kind": self.kind,
            "id": self.id,
            "name": self.name,
            "process": self.process,
            "role": self.role,
            "site": self.site.to_json() if self.site is not None else None,
        }


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong, in one sentence, and why we say so.

    Attributes:
        kind: What it is, a slug: ``unhandled-error``.
        confidence: How it is known.
        title: One sentence.
        explanation: A short paragraph that names the entities, places and times.
        advice: What to change.
        fingerprint: The same for the same finding in another recording.
        occurrences: How many times it happened.
        evidence: Events, stacks or samples it rests on, as JSON.
        witness: How to reproduce it, as JSON, if that is known.
    """

    kind: str
    severity: Severity
    confidence: Confidence
    title: str
    explanation: str
    advice: str
    fingerprint: str
    occurrences: int
    subjects: tuple[Subject, ...]
    evidence: tuple[dict[str, Any], ...]
    witness: dict[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return its JSON."""
        return {
            "kind": self.kind,
            "severity": self.severity,
            "confidence": self.confidence,
            "title": self.title,
            "explanation": self.explanation,
            "advice": self.advice,
            "fingerprint": self.fingerprint,
            "occurrences": self.occurrences,
            "subjects": [subject.to_json() for subject in self.subjects],
            "evidence": list(self.evidence),
            "witness": self.witness,
        }
