"""A running OpenID provider: npm `oidc-provider`, by `provider.mjs`."""

import json
import subprocess

import httpx
import jwt

from server import DEADLINE, free_port

AUDIENCE = "https://gate.example"


class Provider:
    """One running `oidc-provider`."""

    def __init__(self, folder):
        self.folder = folder
        self.port = free_port()
        self.issuer = f"http://127.0.0.1:{self.port}"
        self.process = None

    def start(self):
        self.process = subprocess.Popen(
            ["node", "provider.mjs", str(self.port), AUDIENCE],
            cwd=self.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout.readline() == "ready\n"
        return self

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(timeout=DEADLINE)

    def send(self, command):
        self.process.stdin.write(f"{command}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def token(self, scope="hydrology"):
        """A token of a script (client_credentials)."""
        response = httpx.post(
            f"{self.issuer}/token",
            auth=("nightly", "a+secret+of+the+test"),
            data={"grant_type": "client_credentials", "scope": scope},
            trust_env=False,
            timeout=DEADLINE,
        )
        assert response.status_code == 200, response.text
        return response.json()["access_token"]

    def person_token(self, account, claims=None, header=None):
        """A token of a person; `claims` and `header` replace members, and None removes one."""
        response = httpx.post(
            f"{self.issuer}/token",
            auth=("nightly", "a+secret+of+the+test"),
            data={
                "grant_type": "urn:example:person",
                "account": account,
                "change": json.dumps({"claims": claims or {}, "header": header or {}}),
            },
            trust_env=False,
            timeout=DEADLINE,
        )
        assert response.status_code == 200, response.text
        return response.json()["access_token"]

    def key_set(self):
        return httpx.get(f"{self.issuer}/jwks", trust_env=False)

    def private_key(self):
        return jwt.PyJWK(json.loads(self.send("key")))
