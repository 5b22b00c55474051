#!/usr/bin/env python3
"""Checks a `countersign audit export` with readers from PyPI that share no code with it.

    verify_export.py FOLDER [VERIFIER_KEY]

tlog-scales reads the signed checkpoint and the proofs, pymerkle hashes the leaves into a tree of its own. The key is
the one in the folder unless one from a better source is given. Prints what was checked; exit code 1 if it does not fit.
"""
import base64
import json
import pathlib
import sys

from pymerkle import InmemoryTree
from pymerkle.hasher import MerkleHasher
from tlog_scales.signing import Vkey
from tlog_scales.tlog import Checkpoint, ConsistencyProof, InclusionProof


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines() if line]


def main(folder, key=None):
    folder = pathlib.Path(folder)
    checkpoint = Checkpoint.from_text((folder / "checkpoint.txt").read_text())
    vkey = Vkey.from_string((key or (folder / "verifier-key.txt").read_text()).strip())
    if checkpoint.origin != vkey.name:
        return f"the checkpoint is of {checkpoint.origin}, the key of {vkey.name}"
    checkpoint.verify(vkey)  # raises InvalidSignature

    entries = lines(folder / "entries.ndjson")
    if [entry["index"] for entry in entries] != list(range(checkpoint.size)):
        return f"{len(entries)} entries, or not in order; {checkpoint.size} are signed for"
    leaves = [base64.b64decode(entry["leaf"], validate=True) for entry in entries]
    tree = InmemoryTree(algorithm="sha256")
    for leaf in leaves:
        tree.append_entry(leaf)
    if tree.get_root() != checkpoint.root_hash:
        return f"the entries have the root {tree.get_root().hex()}, signed is {checkpoint.root_hash.hex()}"

    hasher, proofs = MerkleHasher("sha256"), lines(folder / "proofs.ndjson")
    for proof in proofs:
        hashes = [base64.b64decode(text, validate=True) for text in proof["hashes"]]
        if proof["type"] == "inclusion":
            leaf, root = hasher.hash_buff(leaves[proof["index"]]), tree.get_root(proof["size"])
            InclusionProof(proof["index"], proof["size"], hashes).check(leaf, root)
        else:
            old, new = tree.get_root(proof["old"]), tree.get_root(proof["new"])
            ConsistencyProof(proof["old"], proof["new"], hashes).check(old, new)
    for number, leaf in enumerate(leaves):
        event = json.loads(leaf)
        if event["seq"] != number or event["origin"] != checkpoint.origin:
            return f"leaf {number} says that it is {event['seq']} of {event['origin']}"
    print(f"{checkpoint.size} leaves and {len(proofs)} proofs fit {checkpoint.root_hash.hex()}")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
