"""nginx and Caddy with the files of docs/proxies/, for other addresses and folders."""

import datetime
import os
import subprocess
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from nginx import NGINX
from server import ROOT, free_port, until

RECIPES = ROOT / "docs" / "proxies"
CADDY = "/usr/bin/caddy"
# The settings of Cedargate that belong to the recipes; its limits are for one client.
PATTERN = "/cogs/{dataset_id}.tif"
SETTINGS = {
    "CEDARGATE_MINT_LIMIT_PER_MINUTE": "0",
    "CEDARGATE_REQUEST_LIMIT_PER_MINUTE": "0",
    "CEDARGATE_DOWNLOAD_LIMIT_PER_MINUTE": "0",
    "CEDARGATE_TRUSTED_PROXIES": "127.0.0.1",
    "CEDARGATE_FORWARD_AUTH_PATHS": PATTERN,
}
# How often a proxy is started before its ports are its own.
ATTEMPTS = 5


def replaced(text, changes):
    """The text with every change made; each must find its place, so that recipes do not drift."""
    for old, new in changes:
        assert old in text, f"the recipe has no {old!r}"
        text = text.replace(old, new)
    return text


def write_certificate(certificate, key):
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "example.org")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(private, hashes.SHA256())
    )
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8
    plain = serialization.NoEncryption()
    key.write_bytes(private.private_bytes(serialization.Encoding.PEM, form, plain))


class Recipe:
    """A proxy with a folder of its own; `gate` and `data` are the URLs of its two sites."""

    def __init__(self, folder, gate_port):
        self.folder = Path(folder)
        self.files = self.folder / "srv" / "cogs"
        self.files.mkdir(parents=True)
        self.gate_port = gate_port
        self.output = self.folder / "output.log"
        self.config = self.folder / self.recipe
        self.process = None

    def start(self):
        """Starts it on two free ports; somebody else may take one of them first."""
        for _ in range(ATTEMPTS):
            self.ports = free_port(), free_port()
            self.gate, self.data = (f"{self.scheme}://127.0.0.1:{port}" for port in self.ports)
            recipe = (RECIPES / self.recipe).read_text()
            self.config.write_text(replaced(recipe, self.changes()))
            self.output.unlink(missing_ok=True)
            self.run()
            until(self.has_started_or_ended, f"{self.recipe} ready")
            if self.process.poll() is None:
                return self
            assert "address already in use" in self.logs().lower(), self.logs()
        raise AssertionError(self.logs())

    def run(self):
        with open(self.output, "ab") as output:
            self.process = subprocess.Popen(
                self.command(),
                cwd=self.folder,
                env={**os.environ, "HOME": str(self.folder), "XDG_CONFIG_HOME": str(self.folder)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def has_started_or_ended(self):
        if self.process.poll() is not None:
            return True
        return self.is_listening()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout=30)

    def logs(self):
        """Everything that it has written, wherever."""
        files = [self.output, *self.folder.glob("log/*")]
        return "".join(file.read_text(errors="replace") for file in files)


class NginxRecipe(Recipe):
    recipe = "nginx.conf"
    scheme = "https"

    def changes(self):
        folder = self.folder
        (folder / "log").mkdir(exist_ok=True)
        certificate, key = folder / "example.org.pem", folder / "example.org.key"
        write_certificate(certificate, key)
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        own = "".join(f"    {kind}_temp_path {folder}/{kind};\n" for kind in kinds)
        # The files of a test are readable by its user alone.
        user = "user root;\n" if os.geteuid() == 0 else ""
        listen = "listen 443 ssl;\n        server_name"
        return [
            ("worker_processes auto;", f"{user}worker_processes 1;"),
            ("/run/nginx.pid", f"{folder}/nginx.pid"),
            ("/var/log/nginx/", f"{folder}/log/"),
            ("http {\n", f"http {{\n{own}"),
            ("/etc/ssl/certs/example.org.pem", str(certificate)),
            ("/etc/ssl/private/example.org.key", str(key)),
            ("127.0.0.1:8080", f"127.0.0.1:{self.gate_port}"),
            (f"{listen} gate", f"listen 127.0.0.1:{self.ports[0]} ssl;\n        server_name gate"),
            (f"{listen} data", f"listen 127.0.0.1:{self.ports[1]} ssl;\n        server_name data"),
            ("root /srv;", f"root {folder}/srv;"),
        ]

    def is_listening(self):
        # It is written when the ports are bound.
        pid = self.folder / "nginx.pid"
        return pid.exists() and pid.stat().st_size > 0

    def command(self):
        early = self.folder / "log" / "early.log"
        more = "daemon off;"
        return [NGINX, "-e", early, "-p", self.folder, "-c", self.config, "-g", more]


class CaddyRecipe(Recipe):
    recipe = "Caddyfile"
    scheme = "http"

    def changes(self):
        gate, data = self.ports
        return [
            ("\n{\n\t#", "\n{\n\tadmin off\n\tauto_https off\n\t#"),
            ("127.0.0.1:8080", f"127.0.0.1:{self.gate_port}"),
            ("gate.example.org {", f"http://127.0.0.1:{gate} {{"),
            ("data.example.org {", f"http://127.0.0.1:{data} {{"),
            ("root * /srv", f"root * {self.folder}/srv"),
        ]

    def is_listening(self):
        return "serving initial configuration" in self.output.read_text()

    def command(self):
        return [CADDY, "run", "--adapter", "caddyfile", "--config", self.config]


RECIPE_CLASSES = {"nginx": NginxRecipe, "caddy": CaddyRecipe}
