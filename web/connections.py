"""Limits on the connections to a server: their number, and how long one may be silent."""

from uvicorn.protocols.http.auto import AutoHTTPProtocol

MAX_CONNECTIONS = 512
HEAD_SECONDS = 10  # time limit for the head of the first request


class Limited(AutoHTTPProtocol):
    """uvicorn's protocol with these limits. A connection beyond them is closed without an answer."""

    def connection_made(self, transport):
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            transport.abort()
        else:
            self.loop.call_later(HEAD_SECONDS, self._close_silent)

    def _close_silent(self):
        if self.cycle is None and not self.transport.is_closing():
            self.transport.close()
