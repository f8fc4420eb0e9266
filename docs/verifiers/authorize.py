"""Says to nginx whether a token opens a dataset, for `auth_request`: 204, 401 or 503.

Run it as `python3 authorize.py [PORT]`, with verify.py beside it. nginx.conf beside it asks it.
"""

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import jwt

from verify import NoKeySet, verify


class AuthorizationHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        query, dataset_id = self.headers.get("X-Query", ""), self.headers.get("X-Dataset-Id", "")
        tokens = parse_qs(query, keep_blank_values=True).get("token", [])
        try:
            if len(tokens) != 1:
                raise jwt.InvalidTokenError("put one download token on ?token=")
            verify(tokens[0], dataset_id)
            self.respond(204)
        except jwt.InvalidTokenError:
            self.respond(401)
        except NoKeySet:
            self.respond(503)

    def respond(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format, *arguments):
        """Nothing: nginx logs the request, without its query."""


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8091
    ThreadingHTTPServer(("127.0.0.1", port), AuthorizationHandler).serve_forever()
