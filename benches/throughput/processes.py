"""The programs that are measured: Cedargate, reference handlers, nginx and PostgreSQL."""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

READY_TIMEOUT = 120  # seconds until a program answers
IDLE_TIMEOUT = 60  # seconds to wait at most until a program is idle
IDLE_SHARE = 0.05  # of a core
# Seconds without work after which a program is idle: a server reads its catalog after the first.
IDLE_PERIOD = 2
STOP_TIMEOUT = 60  # seconds from SIGTERM until it is killed
LOGIN_ATTEMPTS = 6
TICKS = os.sysconf("SC_CLK_TCK")


class BenchError(Exception):
    """Something that makes rows impossible; the other rows go on."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(check, what, timeout=READY_TIMEOUT, pause=0.02):
    """Repeats until `check` returns something true, and returns it."""
    end = time.monotonic() + timeout
    while True:
        found = check()
        if found:
            return found
        if time.monotonic() > end:
            raise BenchError(f"{what}: not within {timeout} s")
        time.sleep(pause)


def run(*command, timeout=600, **more):
    """Runs a command to its end and returns what it printed."""
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True,
        stdin=subprocess.DEVNULL, timeout=timeout, **more,
    )  # fmt: skip
    if done.returncode != 0:
        text = (done.stderr or done.stdout)[-2000:]
        raise BenchError(f"{Path(command[0]).name} {command[1:]} failed: {text}")
    return done.stdout


class Process:
    """A program that answers HTTP on loopback, and what it costs according to /proc."""

    def __init__(self, name, port):
        self.name = name
        self.port = port
        self.process = None

    @property
    def base(self):
        return f"http://127.0.0.1:{self.port}"

    def spawn(self, command, folder, environment=None):
        self.log = Path(folder) / f"{self.name.replace(' ', '-')}.log"
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [str(part) for part in command], cwd=folder, env=environment,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    def await_ready(self, path):
        def is_ready():
            if self.process.poll() is not None:
                raise BenchError(f"{self.name} ended: {self.log.read_text()[-2000:]}")
            try:
                return self.request("GET", path)[0] < 500
            except OSError:
                return False

        try:
            until(is_ready, f"{self.name} ready")
        except BaseException:
            self.stop()
            raise
        return self

    def request(self, method, path, headers=None, body=None, timeout=60):
        """One request on a connection of its own: the status and the body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response.status, response.read(1 << 20)
        except http.client.HTTPException as error:
            raise OSError(str(error)) from error
        finally:
            connection.close()

    def empty_log(self):
        """Logs are written as in production, but they need not fill the disk."""
        os.truncate(self.log, 0)

    def pids(self):
        """The process and its descendants."""
        parents = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                parents[int(stat.parent.name)] = int(stat.read_text().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
        found = [self.process.pid]
        for pid in found:
            found += [child for child, parent in parents.items() if parent == pid]
        return found

    def cpu_seconds(self):
        total = 0
        for pid in self.pids():
            try:
                fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            total += int(fields[11]) + int(fields[12])
        return total / TICKS

    def await_idle(self):
        """Waits until what a start leaves to the background is done, or for a minute."""
        end = time.monotonic() + IDLE_TIMEOUT
        while time.monotonic() < end:
            before = self.cpu_seconds()
            time.sleep(IDLE_PERIOD)
            if self.cpu_seconds() - before < IDLE_SHARE * IDLE_PERIOD:
                return

    def status(self, key):
        """A number of /proc/PID/status, such as `Threads` or `VmRSS`, summed over the processes."""
        total = 0
        for pid in self.pids():
            try:
                text = Path(f"/proc/{pid}/status").read_text()
            except OSError:
                continue
            found = re.search(rf"^{key}:\s+(\d+)", text, re.MULTILINE)
            total += int(found[1]) if found else 0
        return total

    def stop(self):
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Reference(Process):
    """`reference_handlers`: poem alone, and poem with a signature."""

    def __init__(self, binary, folder):
        super().__init__("reference", free_port())
        self.spawn([binary, f"127.0.0.1:{self.port}"], folder)
        self.await_ready("/plain")


class Gate(Process):
    """A Cedargate with its own data directory. Rate limits are off; all else is as by default."""

    def __init__(self, binary, folder, name="cedargate", **settings):
        super().__init__(name, free_port())
        self.binary = Path(binary).resolve()
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.data = self.folder / "data"
        kept = {k: v for k, v in os.environ.items() if not k.startswith("CEDARGATE_")}
        self.environment = {
            **kept,
            "CEDARGATE_LISTEN": f"127.0.0.1:{self.port}",
            "CEDARGATE_DATA_DIR": str(self.data),
            "CEDARGATE_MINT_LIMIT_PER_MINUTE": "0",
            "CEDARGATE_REQUEST_LIMIT_PER_MINUTE": "0",
            "CEDARGATE_DOWNLOAD_LIMIT_PER_MINUTE": "0",
            "CEDARGATE_EVALUATION_LIMIT_PER_MINUTE": "0",
            "CEDARGATE_SESSION_LIFETIME": "86400",
            **settings,
        }

    def command(self, *arguments, timeout=3600):
        """Runs another cedargate command with the same settings."""
        return run(self.binary, *arguments, cwd=self.folder, env=self.environment, timeout=timeout)

    def start(self, *arguments):
        self.spawn([self.binary, "serve", *arguments], self.folder, self.environment)
        return self.await_ready("/health/ready")

    def get_json(self, path, headers=None):
        status, body = self.request("GET", path, headers)
        if status != 200:
            raise BenchError(f"{self.name}: GET {path} answers {status}: {body[:300]}")
        return json.loads(body)

    def login(self, username, password):
        form = f"grant_type=password&username={username}&password={password}"
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        # Password checks yield to all other work, and those that were too late count as failed.
        for attempt in range(LOGIN_ATTEMPTS):
            status, body = self.request("POST", "/auth/login", headers, form)
            if status not in (429, 503):
                break
            time.sleep(2**attempt)
        if status != 200:
            raise BenchError(f"{self.name}: login of {username} answers {status}: {body[:300]}")
        return json.loads(body)["access_token"]

    def mint(self, dataset, session=None):
        headers = {"Authorization": f"Bearer {session}"} if session else {}
        status, body = self.request("POST", f"/auth/download-token/{dataset}", headers)
        if status != 200:
            raise BenchError(f"{self.name}: mint of {dataset} answers {status}: {body[:300]}")
        return json.loads(body)["token"]


NGINX_CONFIG = """
{user}
daemon off;
worker_processes auto;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_requests 1000000000;
    tcp_nopush on;
    server {{
        listen 127.0.0.1:{port};
        default_type image/tiff;
        location = /sendfile {{ sendfile on; alias {file}; }}
        location = /read {{ sendfile off; alias {file}; }}
    }}
}}
"""


class Nginx(Process):
    """nginx that serves one file, with sendfile at `/sendfile` and without at `/read`."""

    def __init__(self, folder, file):
        super().__init__("nginx", free_port())
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        # Otherwise root's workers are somebody who may not read the file.
        user = "user root;" if os.geteuid() == 0 else ""
        config = folder / "nginx.conf"
        config.write_text(NGINX_CONFIG.format(user=user, folder=folder, port=self.port, file=file))
        binary = shutil.which("nginx") or "/usr/sbin/nginx"
        self.spawn([binary, "-e", folder / "error.log", "-p", folder, "-c", config], folder)
        self.await_ready("/")


class Postgres:
    """A PostgreSQL cluster with its defaults. It refuses root, so root runs it as `postgres`."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True)
        self.port = free_port()
        found = Path("/usr/lib/postgresql").glob("*/bin")
        self.programs = max(found, key=lambda path: int(path.parent.name), default=None)
        if self.programs is None:
            raise BenchError("PostgreSQL is not installed")
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
        self._as_owner(
            "initdb", "-D", self.folder / "cluster", "-U", "cedargate", "-A", "trust", "-E", "UTF8"
        )
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1"
        self._as_owner(
            "pg_ctl", "-D", self.folder / "cluster", "-w", "-l", self.folder / "log",
            "-o", options, "start",
        )  # fmt: skip

    def _as_owner(self, program, *arguments):
        owner = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]
        prefix = owner if os.geteuid() == 0 else []
        command = [*prefix, self.programs / program, *arguments]
        # The server inherits the pipes, so they must not be waited for.
        with open(self.folder.parent / f"{self.folder.name}.out", "ab") as out:
            code = subprocess.call(
                [str(part) for part in command], cwd=self.folder, stdin=subprocess.DEVNULL,
                stdout=out, stderr=out, timeout=READY_TIMEOUT,
            )  # fmt: skip
        if code != 0:
            raise BenchError(f"{program} failed: {Path(out.name).read_text()[-2000:]}")

    def create_database(self, name):
        self._as_owner("createdb", "-h", "127.0.0.1", "-p", self.port, "-U", "cedargate", name)
        return f"postgres://cedargate@127.0.0.1:{self.port}/{name}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._as_owner("pg_ctl", "-D", self.folder / "cluster", "-w", "-m", "immediate", "stop")
