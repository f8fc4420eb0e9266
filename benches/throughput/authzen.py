"""The group of AuthZEN evaluations."""

import json
import shutil

from demo_servers import READER, RESTRICTED, ROOT, minting, session_headers
from processes import Gate, Reference
from rows import Group, Target
from wrk import Scenario

EXAMPLE = "authzen-certification"  # the policies that evaluations are asked of
BATCH = 100
GATEWAY = """\
[[roles]]
name = "gateway"

[[users]]
username = "gate"
roles = ["gateway"]
"""


def evaluation(bench, stack):
    """AuthZEN evaluations, alone and in batches, beside mints and the signing handler."""
    reference = stack.enter_context(Reference(bench.reference, bench.folder("memory")))

    def decision_point(where, name="cedargate", **settings):
        folder = bench.folder(where) / "policies"
        shutil.copytree(ROOT / "policies", folder)
        shutil.copytree(ROOT / "docs" / "examples" / EXAMPLE, folder, dirs_exist_ok=True)
        gate = Gate(
            bench.cedargate, bench.folder(where), f"{name} {where}",
            CEDARGATE_POLICY_DIR=str(folder), CEDARGATE_GATE_PROOFS="off", **settings,
        )  # fmt: skip
        stack.enter_context(gate.start("--demo"))
        catalog = gate.folder / "gateway.toml"
        catalog.write_text(GATEWAY)
        gate.command("catalog", "apply", catalog)
        key = gate.command("api-key", "create", "--user", "gate", "--name", "bench").strip()
        return gate, {"X-Api-Key": key, "Content-Type": "application/json"}

    memory, disk = decision_point("memory"), decision_point("disk")
    folded = decision_point("memory", "folded", CEDARGATE_EVALUATION_RECORDS="folded")
    own = {
        "subject": {"type": "user", "id": "alice"},
        "action": {"name": "read"},
        "resource": {"type": "record", "id": "record-1"},
    }
    catalog = {
        "subject": {"type": "User", "id": READER},
        "action": {"name": "read"},
        "resource": {"type": "dataset", "id": RESTRICTED},
    }
    properties = {**own, "resource": {**own["resource"], "properties": {"status": "active"}}}
    batch = {**own, "evaluations": [{}] * BATCH}

    def asking(name, point, question, path="evaluation"):
        gate, headers = point
        return Scenario(
            name, gate, f"/access/v1/{path}", "POST", headers, body=json.dumps(question),
            on_disk=name.endswith("on disk"),
        )  # fmt: skip

    floor, mint = "signing handler", "mint, session by role, in memory"
    one = "evaluation, own types, in memory"
    of_batch = f"batch of {BATCH}, own types, in memory"
    return Group(
        [
            Scenario(floor, reference, "/sign", "POST"),
            minting(mint, memory[0], session_headers(memory[0], READER)),
            asking(one, memory, own),
            asking("evaluation, own types, on disk", disk, own),
            asking("evaluation, own types, folded, in memory", folded, own),
            asking("evaluation, properties, in memory", memory, properties),
            asking("evaluation, user and dataset, in memory", memory, catalog),
            asking(of_batch, memory, batch, "evaluations"),
        ],
        [
            Target(one, floor, ""),
            Target(one, mint, ">= 1.00"),
            Target("evaluation, user and dataset, in memory", mint, ">= 1.00"),
            Target("evaluation, own types, folded, in memory", one, ""),
            # A hundred calls in one cost less than ten.
            Target(of_batch, one, f">= {10 / BATCH:.2f}"),
        ],
    )
