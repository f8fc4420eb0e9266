"""A server that answers AuthZEN with the policies of an example, and a gateway that asks it."""

import json
import shutil

from server import PEERS, ROOT, WITHOUT_LIMITS, Server

SCENARIOS = PEERS / "authzen"
METADATA = "/.well-known/authzen-configuration"
EVALUATION = "/access/v1/evaluation"
EVALUATIONS = "/access/v1/evaluations"
SUBJECTS, RESOURCES, ACTIONS = (
    f"/access/v1/search/{kind}" for kind in ("subject", "resource", "action")
)
PATHS = (EVALUATION, EVALUATIONS, SUBJECTS, RESOURCES, ACTIONS)
# Of the certification example, which says yes.
QUESTION = {
    "subject": {"type": "user", "id": "alice"},
    "action": {"name": "read"},
    "resource": {"type": "record", "id": "record-1"},
}
ARCHIVED = {"type": "record", "id": "record-2"}
# The issuer of the todo example, which has a path.
TENANT = "https://pdp.example.com/tenant1"
GATEWAY = """\
[[roles]]
name = "gateway"

[[users]]
username = "gate"
roles = ["gateway"]
"""


def scenario(name):
    """The rows of a scenario."""
    return json.loads((SCENARIOS / name).read_text())


class DecisionPoint(Server):
    """A server with the shipped policies and those of an example over them.

    `key` is an API key of the user `gate`, who has the role `gateway`; it may evaluate and search.
    """

    def __init__(self, folder, example, **settings):
        limits = {**WITHOUT_LIMITS, "CEDARGATE_EVALUATION_LIMIT_PER_MINUTE": "0"}
        # test_docs.py has the proofs of the examples.
        super().__init__(folder, **{**limits, "CEDARGATE_GATE_PROOFS": "off", **settings})
        self.policies = self.folder / "policies"
        shutil.copytree(ROOT / "policies", self.policies)
        examples = ROOT / "docs" / "examples"
        shutil.copytree(examples / example, self.policies, dirs_exist_ok=True)

    def start(self):
        super().start()
        catalog = self.folder / "gateway.toml"
        catalog.write_text(GATEWAY)
        self.run("catalog", "apply", catalog)
        self.key = self.create_key("evaluate", "search")
        return self

    def create_key(self, *actions):
        """An API key of the user `gate` for these actions alone."""
        limits = [part for action in actions for part in ("--action", action)]
        made = self.run("api-key", "create", "--user", "gate", "--name", "test", *limits)
        return made.stdout.strip()

    @property
    def identity(self):
        return {"X-Api-Key": self.key}

    def ask(self, path, question, **headers):
        """Sends a question as the gateway; keyword arguments are more headers, with `_` for `-`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.post(path, json=question, headers={**self.identity, **named})

    def answer(self, path, question):
        """The JSON of the answer to a question that is well-formed."""
        response = self.ask(path, question)
        assert response.status_code == 200, response.text
        assert response.headers["content-type"] == "application/json"
        return response.json()

    def decision(self, question):
        """The answer to one evaluation, whose decision is checked to be a boolean."""
        answer = self.answer(EVALUATION, question)
        assert isinstance(answer["decision"], bool), answer
        return answer

    def search(self, kind, question):
        """The whole results of a search, over all pages."""
        results, page = [], {}
        while True:
            answer = self.answer(f"/access/v1/search/{kind}", {**question, "page": page})
            results += answer["results"]
            token = answer["page"]["next_token"]
            if not token:
                return results
            page = {"token": token}
