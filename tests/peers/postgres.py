"""A temporary PostgreSQL cluster, by the Debian package."""

import itertools
import os
import shutil
import subprocess
from pathlib import Path

from server import free_port


class Cluster:
    """One cluster in its own folder. PostgreSQL refuses root, so root runs it as `postgres`."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.port = free_port()
        self.programs = max(
            Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name)
        )
        self._names = itertools.count()

    def _as_owner(self, *command):
        command = [str(part) for part in command]
        if os.geteuid() == 0:
            command = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", *command]
        done = subprocess.run(
            command, cwd=self.folder, capture_output=True, text=True, stdin=subprocess.DEVNULL
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def start(self):
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
        self._as_owner(
            self.programs / "initdb", "-D", self.folder / "cluster",
            "-U", "cedargate", "-A", "trust", "-E", "UTF8", "--no-sync",
        )  # fmt: skip
        self.restart()
        return self

    def restart(self):
        """Starts the cluster again after `stop`, on the same port."""
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        self._as_owner(
            self.programs / "pg_ctl", "-D", self.folder / "cluster", "-w",
            "-l", self.folder / "log", "-o", options, "start",
        )  # fmt: skip

    def stop(self):
        """Stops the cluster without a shutdown, like a machine that fails."""
        self._as_owner(
            self.programs / "pg_ctl", "-D", self.folder / "cluster", "-w", "-m", "immediate", "stop"
        )

    def sql(self, text, database="postgres"):
        return self._as_owner(
            self.programs / "psql", "-h", "127.0.0.1", "-p", self.port, "-U", "cedargate",
            "-v", "ON_ERROR_STOP=1", "-tA", "-d", database, "-c", text,
        ).strip()  # fmt: skip

    def create_database(self):
        """Creates an empty database and returns its URL."""
        name = f"gate_{next(self._names)}"
        self.sql(f'create database "{name}"')
        return f"postgres://cedargate@127.0.0.1:{self.port}/{name}"

    def database_of(self, server):
        return server.settings["CEDARGATE_DATABASE_URL"].rsplit("/", 1)[-1]
