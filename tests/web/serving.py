"""Serves HTTP from a thread of the tests."""

import contextlib
import http.server
import threading


class _Server(http.server.ThreadingHTTPServer):
    """A server that does not mind when the other side hangs up."""

    daemon_threads = True

    def handle_error(self, *_):
        pass


@contextlib.contextmanager
def serve(handler, **attributes):
    """Serves on a free port of 127.0.0.1; yields the address.

    Args: handler: class of the answers. attributes: of the server, beside `stopping`, an Event that is set at the end.
    """
    server = _Server(("127.0.0.1", 0), handler)
    server.stopping = threading.Event()
    for name, value in attributes.items():
        setattr(server, name, value)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.stopping.set()
        server.shutdown()
        server.server_close()
        thread.join()
