"""Limits of connections to a server: their number, and the time until the first request must begin."""

from uvicorn.protocols.http.auto import AutoHTTPProtocol

MAX_CONNECTIONS = 512
HEAD_SECONDS = 10  # time limit for the head of the first request


class Limited(AutoHTTPProtocol):
    """uvicorn's HTTP protocol that limits the connections and the time until their first request begins.

    At most MAX_CONNECTIONS are open, and the head of the first request must arrive within HEAD_SECONDS. A connection
    that exceeds a limit is closed without an answer.
    """

    def connection_made(self, transport):
        """Closes the connection if there are too many, else sets its time limit. Args: transport: asyncio.Transport."""
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            transport.abort()
        else:
            self.loop.call_later(HEAD_SECONDS, self._close_silent)

    def _close_silent(self):
        """Closes the connection if the head of its first request has not arrived."""
        if self.cycle is None and not self.transport.is_closing():
            self.transport.close()
