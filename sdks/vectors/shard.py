#!/usr/bin/env python3
"""Makes shard.json: which shard a timer belongs to, for every SDK and for the server to be tested against.

It is written from the API's text alone and shares no code with any implementation. Run it in this directory:
    python3 shard.py > shard.json
"""

import hashlib
import json

GROUPS = ["default", "orders", "a", "0", "billing-eu_1", "g" * 63]
IDS = [
    "1",
    "order-42",
    "a/b",
    "a%2Fb",
    "a:b",
    "a+b",
    "a b",
    "?x",
    "...",
    "\u00e9",  # e with acute accent, one code point (NFC)
    "e\u0301",  # the same to the eye, two code points (NFD): another timer
    "\u65e5\u672c\u8a9e",
    "\U0001f600",
    "\u00e9" * 127,
    "x" * 255,
]
# (group.shards, cluster.shards): all, some, one; powers of two and others; the most there can be.
SHARDS = [(8, 8), (1, 8), (3, 8), (5, 7), (16, 16), (256, 256), (1, 1)]


def h(text: str) -> int:
    """The first 4 bytes, big-endian, of SHA-256 of the UTF-8 bytes."""
    return int.from_bytes(hashlib.sha256(text.encode("utf-8")).digest()[:4], "big")


def shard_of(group: str, timer_id: str, group_shards: int, cluster_shards: int) -> int:
    return (h(group) + h(timer_id) % group_shards) % cluster_shards


def overflowing() -> tuple[str, str]:
    """A group and an id whose sum does not fit into 32 bits: what 32-bit arithmetic would get wrong."""
    for i in range(1 << 26):
        group = f"group-{i}"
        if h(group) > (1 << 32) - 200:
            for j in range(1 << 16):
                if h(group) + h(f"id-{j}") % 256 >= 1 << 32:
                    return group, f"id-{j}"
    raise SystemExit("no such pair")


def main() -> None:
    vectors = [
        {
            "group": group,
            "id": timer_id,
            "groupShards": group_shards,
            "clusterShards": cluster_shards,
            "shard": shard_of(group, timer_id, group_shards, cluster_shards),
        }
        for group in GROUPS
        for timer_id in IDS
        for group_shards, cluster_shards in SHARDS
    ]
    group, timer_id = overflowing()
    vectors.append(
        {
            "group": group,
            "id": timer_id,
            "groupShards": 256,
            "clusterShards": 7,
            "shard": shard_of(group, timer_id, 256, 7),
        }
    )
    head = {
        "about": "shard = (h(group) + h(id) % groupShards) % clusterShards; h = first 4 bytes, big-endian, of "
        "SHA-256 of the UTF-8 bytes; in 64 bits. Made by shard.py.",
    }
    lines = ",\n".join("    " + json.dumps(vector, ensure_ascii=True) for vector in vectors)
    print('{\n  "about": ' + json.dumps(head["about"]) + ',\n  "vectors": [\n' + lines + "\n  ]\n}")


if __name__ == "__main__":
    main()
