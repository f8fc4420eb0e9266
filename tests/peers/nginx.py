"""A real nginx in front of a server, with the text of a `server` block of its own."""

import os
import subprocess
from pathlib import Path

from server import free_port, until

NGINX = "/usr/sbin/nginx"
NJS = Path("/usr/lib/nginx/modules/ngx_http_js_module.so")

CONFIG = """
{user}
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {http}
    server {{
        listen 127.0.0.1:{port};
        {block}
    }}
}}
"""


class Nginx:
    """nginx with its own folder and port; `block` is what stands in `server { }`."""

    def __init__(self, folder, block, http="access_log off;"):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self.config = self.folder / "nginx.conf"
        # Otherwise root's workers are somebody who may not read the folders of the tests.
        user = "user root;" if os.geteuid() == 0 else ""
        self.config.write_text(
            CONFIG.format(user=user, folder=self.folder, port=self.port, block=block, http=http)
        )
        self.process = None

    def start(self):
        self.process = subprocess.Popen(
            [NGINX, "-e", self.folder / "error.log", "-p", self.folder, "-c", self.config],
            stdin=subprocess.DEVNULL,
        )
        until(self.is_ready, "nginx ready")
        return self

    def is_ready(self):
        assert self.process.poll() is None, (self.folder / "error.log").read_text()
        return (self.folder / "nginx.pid").exists() and (self.folder / "nginx.pid").stat().st_size

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout=30)
