"""Serves the files of a folder to whoever has a token for them: /data/{dataset_id}.tif?token=...

Run it as `python3 serve.py FOLDER [PORT]`, with verify.py beside it.
"""

import re
import sys
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import jwt

from verify import NoKeySet, verify


class DownloadHandler(SimpleHTTPRequestHandler):
    def send_head(self):  # for GET and HEAD
        url = urlsplit(self.path)
        tokens = parse_qs(url.query, keep_blank_values=True).get("token", [])
        asked = re.fullmatch(r"/data/([^/]+)\.tif", url.path)
        try:
            if len(tokens) != 1:
                raise jwt.InvalidTokenError("put one download token on ?token=")
            verify(tokens[0], asked[1] if asked else "")
        except jwt.InvalidTokenError as error:
            return self.send_error(HTTPStatus.UNAUTHORIZED, explain=str(error))
        except NoKeySet:
            return self.send_error(HTTPStatus.SERVICE_UNAVAILABLE)
        return super().send_head()

    def end_headers(self):
        self.send_header("Cache-Control", "private, no-cache")
        self.send_header("Referrer-Policy", "no-referrer")
        super().end_headers()

    def log_message(self, format, *arguments):
        """http.server logs the request line, of a bad request too: the query is left out of every line."""
        super().log_message("%s", re.sub(r"\?.*?(?=\s|'|\"|$)", "?...", format % arguments))

    def translate_path(self, path):
        return f"{sys.argv[1]}/{urlsplit(path).path.removeprefix('/data/')}"


if __name__ == "__main__":
    port = int(sys.argv[2]) if len(sys.argv) > 2 else 8090
    ThreadingHTTPServer(("127.0.0.1", port), DownloadHandler).serve_forever()
