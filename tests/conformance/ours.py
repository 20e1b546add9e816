"""Our own reader, issuer and wallet as programs of the kit: `... -m tests.conformance.ours reader`.

Also a short example of what such a program has to do.
"""

import base64
import json
import sys
from typing import Any

from edge.clock.issuer_floors import IssuerFloors
from edge.clock.time_interval import NEVER_S, Interval, Now
from edge.judge.verdict import verify
from edge.wire import code, holder, keys
from tests.vectors.door import believed, code_of, place, told


def reader(asked: dict[str, Any]) -> dict[str, Any]:
    text = asked["text"].encode() if "text" in asked else base64.b64decode(asked["base64"])
    documents, door, time = asked["documents"], asked["door"], asked["time"]
    latest_s = NEVER_S if time["latest_s"] is None else time["latest_s"]
    now = Now(Interval(time["earliest_s"], latest_s, "system"), 0.0)
    beliefs = believed(door, documents, asked["keys"])
    said = verify(text, beliefs, place(door), now, IssuerFloors())
    verdict, _, more = told(said).partition(":")
    return {"verdict": verdict, "colour" if verdict == "genuine" else "reason": more or None}


def issuer(asked: dict[str, Any]) -> dict[str, Any]:
    try:
        signer = keys.private_key(bytes.fromhex(asked["seed"]))
        return {"text": code.encode(code_of(asked["claims"]), signer)}
    except (ValueError, KeyError, TypeError) as error:
        return {"refused": str(error)}


def wallet(asked: dict[str, Any]) -> dict[str, Any]:
    signer = keys.private_key(bytes.fromhex(asked["seed"]))
    return {"text": holder.encode(asked["code"], asked["iat"], asked.get("door"), signer)}


def main(answer: Any) -> None:
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)


if __name__ == "__main__":
    main({"reader": reader, "issuer": issuer, "wallet": wallet}[sys.argv[1]])
