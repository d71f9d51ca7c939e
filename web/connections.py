"""Limits on the connections to a server: how many there are, and how long one may say nothing."""

from uvicorn.protocols.http.auto import AutoHTTPProtocol

MAX_CONNECTIONS = 512
HEAD_SECONDS = 10  # until the head of the first request has come


class Limited(AutoHTTPProtocol):
    """uvicorn's protocol with these limits. What is beyond them is closed without a word."""

    def connection_made(self, transport):
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            transport.abort()
        else:
            self.loop.call_later(HEAD_SECONDS, self._close_silent)

    def _close_silent(self):
        if self.cycle is None and not self.transport.is_closing():
            self.transport.close()
