"""What is recorded of requests a program serves: runs, routes, errors, what is left out."""

from __future__ import annotations

import pytest
from http_programs import ASGI_APP, CLIENT, RUN_UVICORN, WSGI_APP
from recorded_spans import spans_of

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"

WSGI_SERVERS = {
    "wsgiref": """
        from wsgiref.simple_server import WSGIRequestHandler, make_server

        class Silent(WSGIRequestHandler):
            def log_message(self, *args): pass
            def get_stderr(self): return open(os.devnull, "w")

        server = make_server("127.0.0.1", 0, app, handler_class=Silent)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        port, stop = server.server_port, server.shutdown
        """,
    "werkzeug": """
        import logging
        from werkzeug.serving import make_server
        logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
        server = make_server("127.0.0.1", 0, app, threaded=True)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        port, stop = server.server_port, server.shutdown
        assert server.app is app
        """,
    "waitress": """
        import logging
        from waitress.server import create_server
        logging.getLogger("waitress").setLevel(logging.CRITICAL)
        server = create_server(app, host="127.0.0.1", port=0, threads=1)
        threading.Thread(target=server.run, daemon=True).start()
        port, stop = server.effective_port, lambda: None
        """,
}
ASK_THREE = """
print([ask(port, target, "X-Tag: red") for target in ("/ok/1?a=1&token=topsecret", "/boom", "/stream")])
stop()
"""


def check_three(done):
    """Assert what each server is to record of the three requests of ``ASK_THREE``."""
    assert done.returncode == 0, done.stderr
    assert done.problems == {}
    ok, boom, stream = spans_of(done.recording)[-3:]
    assert (ok.name, ok.kind, ok.role, ok.op) == ("GET /ok/1", "server", "run", "")
    assert (ok.start.kind, ok.end.kind, ok.end.outcome) == ("life.run_start", "life.run_end", "ok")
    assert (ok.parent, ok.parent_id) == (1, 0)
    assert {
        "method": "GET",
        "path": "/ok/1",
        "query": "a=1&token=[redacted]",
        "client_address": "127.0.0.1",
        "http_version": "1.1",
        "status": 201,
        "response_size": 2,
    } == {name: value for name, value in ok.attrs.items() if not name.endswith("headers")}
    assert [e.attrs["name"] for e in ok.of("custom.event")] == ["handling"]
    (error,) = boom.of("error.raised")
    assert (boom.name, boom.end.outcome, boom.end.cause) == ("GET /boom", "failed", error.seq)
    assert (error.attrs["type"], error.attrs["message"]) == ("ValueError", "boom")
    assert boom.attrs["error"] == "ValueError"
    assert (stream.name, stream.end.outcome, stream.attrs["status"]) == ("GET /stream", "ok", 200)
    assert [e.attrs["name"] for e in stream.of("custom.event")] == ["streaming"]
    assert len({ok.trace, boom.trace, stream.trace}) == 3


@pytest.mark.parametrize("server", WSGI_SERVERS)
def test_a_wsgi_request_is_a_run_that_lasts_until_its_body_is_sent(record, server):
    """Whatever server: name, attributes, error, and the events of handler and body."""
    import textwrap

    done = record(CLIENT + WSGI_APP + textwrap.dedent(WSGI_SERVERS[server]) + ASK_THREE)

    check_three(done)
    assert done.stdout == "[201, 500, 200]\n"


@pytest.mark.parametrize("worker", ["sync", "gthread"])
def test_a_request_to_a_gunicorn_worker_is_a_run(record, worker):
    """The workers are forked children: what they serve stands in their own streams."""
    done = record(
        CLIENT
        + WSGI_APP
        + f"""
from gunicorn.app.base import BaseApplication

port = free_port()
class Application(BaseApplication):
    def load_config(self):
        for name, value in dict(bind=f"127.0.0.1:{{port}}", workers=1, threads=2, worker_class="{worker}",
                                loglevel="critical", graceful_timeout=1, control_socket_disable=True).items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)
    def load(self):
        return app

def work():
    wait_for(port)
    ask(port, "/warm")
    print([ask(port, target, "X-Tag: red") for target in ("/ok/1?a=1&token=topsecret", "/boom", "/stream")], flush=True)
    os.kill(os.getpid(), 15)

threading.Thread(target=work, daemon=True).start()
Application().run()
"""
    )

    check_three(done)
    assert done.stdout == "[201, 500, 200]\n"


@pytest.mark.parametrize("implementation", ["h11", "httptools"])
def test_a_request_to_uvicorn_is_a_run(record, implementation):
    """Both implementations of HTTP that uvicorn has."""
    done = record(
        CLIENT
        + ASGI_APP
        + RUN_UVICORN
        + f"""
def work(port):
    print([ask(port, target, "X-Tag: red") for target in ("/ok/1?a=1&token=topsecret", "/boom", "/stream")])

serve(app, work, http="{implementation}")
"""
    )

    check_three(done)
    assert done.stdout == "[201, 500, 200]\n"
