"""Session cache service.

Clients present a session token with every request. The service looks the token up in its in-memory cache, seals a fresh
session state and hands out a new token for it, so that no token is ever used twice.

Usage: python3 workload.py [--ingest-mib-per-min RATE] [--max-sessions N] [--buffer-mib SIZE] [--start-delay SECONDS]

RATE is the volume of session state that the clients send, in MiB per minute (0.2 to 6000, default 30). The request
rate is fixed; the size of a session follows from both. N is how many sessions the cache holds (no limit by default). A
buffer of SIZE MiB is set up at the start (0 by default). Requests are served SECONDS after it (0 by default). One status
line goes to stdout every 10 s. SIGTERM and SIGINT end the service with status 0; a bad argument ends it with status 2.
"""

import argparse
import math
import os
import signal
import sys
import time

REQUESTS_PER_SECOND = 10
CLIENTS = 50
STATUS_INTERVAL_S = 10
MIN_INGEST_RATE = 0.2
MAX_INGEST_RATE = 6000
MAX_BACKLOG_S = 5  # requests older than this have been given up by their clients
CONNECTIONS = 256  # may be open at a time, each with a buffer for what it receives
RECEIVE_BUFFER_BYTES = 1024
# What the interpreter adds to the state of a session: object headers, the token and the slot in the cache.
SESSION_OVERHEAD_BYTES = 157 if sys.version_info >= (3, 12) else 176 if sys.version_info >= (3, 11) else 189


class SessionCache:
    """Session state by token, with counts of hits and misses."""

    def __init__(self, max_sessions):
        self._sessions = {}
        self._max_sessions = max_sessions
        self.hits = 0
        self.misses = 0

    def __len__(self):
        return len(self._sessions)

    def get(self, token):
        """Return the state stored for a token, or None."""
        state = self._sessions.get(token)
        if state is None:
            self.misses += 1
        else:
            self.hits += 1
        return state

    def put(self, state):
        """Store a state under a new token and return the token."""
        token = os.urandom(16).hex()
        self._sessions[token] = state
        if self._max_sessions and len(self._sessions) > self._max_sessions:
            del self._sessions[next(iter(self._sessions))]
        return token


class Service:
    """Serves the clients in turn, at a fixed request rate, until it is told to stop."""

    def __init__(self, session_bytes, max_sessions, buffer_mib, start_delay_s):
        self.cache = SessionCache(max_sessions)
        self.requests = 0
        self._buffer = b"\x01" * (buffer_mib * 1024 * 1024)
        self._start_delay_s = start_delay_s
        self._session_bytes = session_bytes // 8 * 8 if session_bytes > 4096 else session_bytes  # whole words: no cutting
        self._tokens = [None] * CLIENTS
        self._received = [bytearray(RECEIVE_BUFFER_BYTES) for _connection in range(CONNECTIONS)]
        self._stopped_by = None

    def handle_request(self):
        """Serve one request: look the client's session up and renew it."""
        client = self.requests % CLIENTS
        self.cache.get(self._tokens[client])
        received = self._received[self.requests % CONNECTIONS]
        received[:8] = os.urandom(8)
        state = bytes(received[:8]) * ((self._session_bytes + 7) // 8)
        self._tokens[client] = self.cache.put(state[: self._session_bytes])
        self.requests += 1

    def stop(self, number, _frame):
        """Handle a signal: end after the request at hand."""
        self._stopped_by = signal.Signals(number).name

    def run(self):
        """Serve until stopped."""
        interval = 1 / REQUESTS_PER_SECOND
        last_status = next_status = time.monotonic()
        next_request = last_status + self._start_delay_s
        last_requests = 0
        while not self._stopped_by:
            now = time.monotonic()
            if now >= next_status:
                self.log_status(last_requests, now - last_status)
                last_status, last_requests = now, self.requests
                next_status += STATUS_INTERVAL_S * (1 + (now - next_status) // STATUS_INTERVAL_S)
            if now >= next_request:
                self.handle_request()
                next_request = max(next_request + interval, now - MAX_BACKLOG_S)
            time.sleep(max(0, min(next_request, next_status) - time.monotonic()))
        self.log_status(last_requests, time.monotonic() - last_status)
        log(f"stopped by {self._stopped_by}")

    def log_status(self, last_requests, elapsed_s):
        """Log the counters, and the request rate since the status line before."""
        rate = (self.requests - last_requests) / elapsed_s if elapsed_s > 0 else 0
        log(
            f"requests={self.requests} requests_per_second={rate:.1f} cache_entries={len(self.cache)} "
            f"hits={self.cache.hits} misses={self.cache.misses}"
        )


def log(message):
    """Write one line to stdout at once, with the local time and its offset from UTC."""
    print(time.strftime("%Y-%m-%dT%H:%M:%S%z"), message, flush=True)


def ingest_rate(text):
    """Parse an ingest rate in MiB per minute."""
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    if not MIN_INGEST_RATE <= rate <= MAX_INGEST_RATE:
        raise argparse.ArgumentTypeError(f"must be a number from {MIN_INGEST_RATE} to {MAX_INGEST_RATE}, not {text!r}")
    return rate


def main():
    """Run the service from the command line."""
    parser = argparse.ArgumentParser(description="Session cache service.")
    rate_help = "session state that the clients send, in MiB per minute (default: %(default)s)"
    parser.add_argument("--ingest-mib-per-min", type=ingest_rate, default=30, metavar="RATE", help=rate_help)
    parser.add_argument("--max-sessions", type=int, metavar="N", help="what the cache holds (default: no limit)")
    parser.add_argument("--buffer-mib", type=int, default=0, metavar="SIZE", help="set up at the start (default: 0)")
    parser.add_argument(
        "--start-delay", type=int, default=0, metavar="SECONDS", help="when to serve (default: at once)"
    )
    arguments = parser.parse_args()
    bytes_per_request = arguments.ingest_mib_per_min * 1024 * 1024 / 60 / REQUESTS_PER_SECOND
    session_bytes = round(bytes_per_request) - SESSION_OVERHEAD_BYTES
    service = Service(session_bytes, arguments.max_sessions, arguments.buffer_mib, arguments.start_delay)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, service.stop)
    service.run()


if __name__ == "__main__":
    main()
