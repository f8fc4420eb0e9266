"""Runs a published Python verifier: one request a line on standard input, one verdict a line.

Usage: verifier_loop.py FILE
"""

import importlib.util
import json
import sys

spec = importlib.util.spec_from_file_location("verify", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
refused = module.Refused if hasattr(module, "Refused") else module.jwt.InvalidTokenError
answers, sys.stdout = sys.stdout, sys.stderr
for line in sys.stdin:
    token, dataset = json.loads(line)
    try:
        verdict = {"accepted": {"sub": module.verify(token, dataset).get("sub")}}
    except refused as error:
        verdict = {"refused": repr(error)}
    except module.NoKeySet:
        verdict = {"no key set": True}
    except Exception as error:
        verdict = {"crashed": repr(error)}
    print(json.dumps(verdict), file=answers, flush=True)
