"""Requests made from the OpenAPI document, right and wrong ones: none of them breaks the server."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of its dependencies, while they are imported
    import schemathesis

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from starlette.testclient import TestClient
from tests.support.chunks import event_body

from clew.server.app import create_app
from clew.server.settings import Settings
from clew.store.store import Store

HOST = {"Host": "127.0.0.1"}
ENDLESS = "/api/v1/live"
"""Its answer goes on for ever; what it reads is one header, tested by hand."""
EXAMPLES = 15
"""Of each route and kind."""
CHUNKS = "application/vnd.clew.chunks"

schemathesis.openapi.media_type(CHUNKS, st.binary() | st.just(event_body(range(1, 9))))
for media_type in (CHUNKS, "application/x-protobuf"):
    schemathesis.serializer.alias(media_type, "application/octet-stream")


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The OpenAPI document of a server that holds a little."""
    with Store.open(str(tmp_path_factory.mktemp("fuzz") / "store")) as store:
        app = create_app(store, settings=Settings(log_requests=False, rate_per_s=1e6, rate_burst=1_000_000))
        with TestClient(app, base_url="http://127.0.0.1") as client:
            client.post("/api/v1/chunks", content=event_body(range(1, 100)))
        found = schemathesis.openapi.from_asgi("/api/v1/openapi.json", app, headers=HOST)
        yield found.exclude(path=ENDLESS)


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_no_request_breaks_the_server(schema: Any, mode: GenerationMode) -> None:
    """Whatever is asked, as the document says or against it, the answer is no error of the server's."""
    broken: list[str] = []
    count = 0
    for result in schema.get_all_operations():
        operation = result.ok()

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            phases=(Phase.explicit, Phase.generate),
            suppress_health_check=list(HealthCheck),
        )
        def ask(case: Case) -> None:
            nonlocal count
            count += 1
            response = case.call(headers=HOST)
            if response.status_code >= 500:
                broken.append(f"{case.method} {case.path} {response.text}")

        with contextlib.suppress(Unsatisfiable):  # a route without parameters cannot be asked wrongly
            ask()

    assert broken == []
    assert count > 5 * EXAMPLES
