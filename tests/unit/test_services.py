"""Calls between services."""

from __future__ import annotations

from clew.analysis.services import Call, Service, ServiceSpan, service_graph


def span(
    span_id: str, parent: str, service: str, *, process: str = "", kind: str = "internal", took: int = 10,
    outcome: str = "ok", run: str = "r",
) -> ServiceSpan:  # fmt: skip
    return ServiceSpan(process or service, service, run, span_id, parent, kind, took, outcome)


def test_a_call_is_timed_as_the_caller_saw_it() -> None:
    """The client's span holds the way there and back; inner spans are no calls."""
    graph = service_graph(
        [
            span("1", "", "shop", took=100),
            span("2", "1", "shop", kind="client", took=50),
            span("3", "2", "bank", kind="server", took=30),
            span("4", "3", "bank"),
        ]
    )

    assert graph.calls == (Call("shop", "bank", 1, 0, 50, 50),)
    assert graph.services == (Service("bank", 1, 0, 30, 30), Service("shop", 1, 0, 100, 100))


def test_without_a_clients_span_it_is_timed_as_the_callee_saw_it() -> None:
    """A parent of another kind may have made many calls."""
    graph = service_graph([span("1", "", "shop", took=100), span("2", "1", "bank", took=30)])

    assert graph.calls == (Call("shop", "bank", 1, 0, 30, 30),)


def test_a_call_went_wrong_if_either_side_says_so() -> None:
    """A caller that gave up, and a callee that failed."""
    graph = service_graph(
        [
            span("1", "", "shop", kind="client", outcome="timeout"),
            span("2", "1", "bank", kind="server"),
            span("3", "", "shop", kind="client"),
            span("4", "3", "bank", kind="server", outcome="failed"),
        ]
    )

    assert [(call.count, call.errors) for call in graph.calls] == [(2, 2)]


def test_workers_of_one_service_that_call_one_another_are_a_call_to_itself() -> None:
    """Processes count, not names alone; ids of other runs are other ids."""
    graph = service_graph(
        [
            span("1", "", "bank", process="a"),
            span("2", "1", "bank", process="b"),
            span("3", "1", "bank", process="b", run="other"),
        ]
    )

    assert [(call.caller, call.callee, call.count) for call in graph.calls] == [("bank", "bank", 1)]


def test_figures_are_of_what_has_ended() -> None:
    """What is still open is counted and not timed; the percentile is one of the times."""
    graph = service_graph(
        [span(str(i), "", "bank", took=i) for i in range(1, 101)] + [span("open", "", "bank", took=999, outcome="")]
    )

    assert graph.services == (Service("bank", 101, 0, 50, 95),)
    assert service_graph([span("open", "", "bank", outcome="")]).services == (Service("bank", 1, 0, 0, 0),)


def test_nothing_has_no_services() -> None:
    """And no calls."""
    assert service_graph([]) == service_graph(iter(()))
    assert service_graph([]).services == ()
