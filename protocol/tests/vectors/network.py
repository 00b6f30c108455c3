"""Messages of the tower network, byte by byte, as JSON on standard output; written from docs/spec/network.md, apart from
the Rust code. Needs the package `cryptography`, for Ed25519 alone.

Run: python3 network.py > network.json
"""

import hashlib
import hmac
import json

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

# ---------------------------------------------------------------------------------------------- Keccak-256

MASK = (1 << 64) - 1


def rotate(value, by):
    return ((value << by) | (value >> (64 - by))) & MASK if by else value


def permute(a):
    lfsr = 1
    for _ in range(24):
        c = [a[x][0] ^ a[x][1] ^ a[x][2] ^ a[x][3] ^ a[x][4] for x in range(5)]
        d = [c[(x + 4) % 5] ^ rotate(c[(x + 1) % 5], 1) for x in range(5)]
        a = [[a[x][y] ^ d[x] for y in range(5)] for x in range(5)]
        x, y, current = 1, 0, a[1][0]
        for t in range(24):
            x, y = y, (2 * x + 3 * y) % 5
            current, a[x][y] = a[x][y], rotate(current, (t + 1) * (t + 2) // 2 % 64)
        for y in range(5):
            row = [a[x][y] for x in range(5)]
            for x in range(5):
                a[x][y] = row[x] ^ (~row[(x + 1) % 5] & MASK & row[(x + 2) % 5])
        for j in range(7):
            lfsr = ((lfsr << 1) ^ ((lfsr >> 7) * 0x71)) % 256
            if lfsr & 2:
                a[0][0] ^= 1 << ((1 << j) - 1)
    return a


def keccak(data):
    rate, state = 136, [[0] * 5 for _ in range(5)]
    padded = bytearray(data + b"\x01" + b"\x00" * (rate - 1 - len(data) % rate))
    padded[-1] |= 0x80
    for block in range(0, len(padded), rate):
        for lane in range(rate // 8):
            x, y = lane % 5, lane // 5
            state[x][y] ^= int.from_bytes(padded[block + 8 * lane : block + 8 * lane + 8], "little")
        state = permute(state)
    return b"".join(state[lane % 5][lane // 5].to_bytes(8, "little") for lane in range(4))


assert keccak(b"").hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"

# ---------------------------------------------------------------------------------------------- secp256k1

P = 2**256 - 2**32 - 977
N = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
G = (
    0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798,
    0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8,
)


def add(one, two):
    if one is None or two is None:
        return one or two
    if one[0] == two[0]:
        if (one[1] + two[1]) % P == 0:
            return None
        slope = 3 * one[0] * one[0] * pow(2 * one[1], -1, P) % P
    else:
        slope = (two[1] - one[1]) * pow(two[0] - one[0], -1, P) % P
    x = (slope * slope - one[0] - two[0]) % P
    return x, (slope * (one[0] - x) - one[1]) % P


def multiply(scalar, point=G):
    total = None
    while scalar:
        if scalar & 1:
            total = add(total, point)
        point, scalar = add(point, point), scalar >> 1
    return total


def account(secret):
    x, y = multiply(secret)
    return keccak(x.to_bytes(32, "big") + y.to_bytes(32, "big"))[12:]


def sign(secret, digest):
    """RFC 6979, low s, the 64 bytes of EIP-2098."""
    key, value, z = b"\x00" * 32, b"\x01" * 32, int.from_bytes(digest, "big") % N
    seed = secret.to_bytes(32, "big") + z.to_bytes(32, "big")
    for separator in (b"\x00", b"\x01"):
        key = hmac.digest(key, value + separator + seed, hashlib.sha256)
        value = hmac.digest(key, value, hashlib.sha256)
    while True:
        value = hmac.digest(key, value, hashlib.sha256)
        k = int.from_bytes(value, "big")
        if 0 < k < N:
            x, y = multiply(k)
            r = x % N
            s = pow(k, -1, N) * (z + r * secret) % N
            if r and s:
                break
        key = hmac.digest(key, value + b"\x00", hashlib.sha256)
        value = hmac.digest(key, value, hashlib.sha256)
    odd = y & 1
    if s > N // 2:
        s, odd = N - s, odd ^ 1
    return r.to_bytes(32, "big") + (odd << 255 | s).to_bytes(32, "big")


# ---------------------------------------------------------------------------------------------- EIP-712


def word(value):
    return value.to_bytes(32, "big") if isinstance(value, int) else value.rjust(32, b"\x00")


def typed(domain, kind, words):
    return keccak(b"\x19\x01" + domain + keccak(keccak(kind.encode()) + b"".join(words)))


TOWER_DOMAIN = keccak(
    keccak(b"EIP712Domain(string name,string version)") + keccak(b"VRC Tower") + keccak(b"1")
)

# ---------------------------------------------------------------------------------------------- the spec

DOMAIN = bytes(range(0xA0, 0xA0 + 21))
SECRET = int.from_bytes(b"\x07" * 32, "big")
TOWER = account(SECRET)
NODE = Ed25519PrivateKey.from_private_bytes(b"\x09" * 32)
NODE_KEY = NODE.public_key().public_bytes_raw()
ENVELOPE = bytes(at % 251 for at in range(519))
SALT = bytes(range(16))
SPREAD = 0x9E3779B97F4A7D


def u16(value):
    return value.to_bytes(2, "big")


def u64(value):
    return value.to_bytes(8, "big")


def position(channel):
    return channel * SPREAD % 2**56


def shard(channel):
    return position(channel) % 64


def key(channel, role):
    return position(channel) << 8 | role


def slot(channel, role):
    return u64(channel) + bytes([role])


def prefix(number, digits):
    bits = sum(digit << (52 - 4 * at) for at, digit in enumerate(digits))
    return bytes([number, len(digits)]) + bits.to_bytes(7, "big")


def alert():
    values = dict(
        channel=5, epoch=3, nonce=4700, claim=10**18, deadline=1_700_086_400, block=19_000_000, issued=1_700_000_012
    )
    block_hash, transaction = keccak(b"block"), keccak(b"transaction")
    kind = (
        "Alert(bytes21 domain,uint56 channelId,uint64 epoch,uint56 nonce,uint112 claim,uint64 deadline,"
        "uint64 blockNumber,bytes32 blockHash,bytes32 transactionHash,address tower,uint64 issuedAt)"
    )
    v = values
    words = [DOMAIN.ljust(32, b"\x00"), word(v["channel"]), word(v["epoch"]), word(v["nonce"]), word(v["claim"])]
    words += [word(v["deadline"]), word(v["block"]), block_hash, transaction, word(TOWER), word(v["issued"])]
    digest = typed(TOWER_DOMAIN, kind, words)
    body = b"\x01" + DOMAIN + u64(v["channel"]) + u64(v["epoch"]) + u64(v["nonce"])
    body += v["claim"].to_bytes(16, "big") + u64(v["deadline"]) + u64(v["block"]) + block_hash + transaction
    body += TOWER + u64(v["issued"])
    return digest, body + sign(SECRET, digest)


def announcement():
    shards, software, issued, expires = 0xF0F0, 0x0001_0002_0003_0000, 1_700_000_000, 1_700_003_600
    kind = (
        "Announcement(bytes21 domain,address tower,bytes32 nodeKey,uint64 shards,uint64 software,uint64 issuedAt,"
        "uint64 expiresAt)"
    )
    words = [DOMAIN.ljust(32, b"\x00"), word(TOWER), NODE_KEY, word(shards), word(software), word(issued), word(expires)]
    digest = typed(TOWER_DOMAIN, kind, words)
    node = NODE.sign(b"vrc tower announcement 1" + digest)
    body = b"\x01" + DOMAIN + TOWER + NODE_KEY + u64(shards) + u64(software) + u64(issued) + u64(expires)
    return digest, body + sign(SECRET, digest) + node


def receipt():
    vipe, envelope_id = b"\x11" * 20, keccak(b"envelope")
    domain = keccak(
        keccak(b"EIP712Domain(string name,string version,uint256 chainId)")
        + keccak(b"VRC Tower")
        + keccak(b"1")
        + word(31_337)
    )
    kind = (
        "Receipt(address vipe,uint56 channelId,uint8 role,uint56 nonce,bytes32 envelopeId,address tower,uint64 until)"
    )
    words = [word(vipe), word(5), word(1), word(4711), envelope_id, word(TOWER), word(1_800_000_000)]
    digest = typed(domain, kind, words)
    body = u64(31_337) + vipe + slot(5, 1) + u64(4711) + envelope_id + TOWER + u64(1_800_000_000)
    return body + sign(SECRET, digest)


def row(channel, role, nonce):
    return key(channel, role), slot(channel, role) + u64(nonce), keccak(b"id %d %d" % (channel, role))[:16]


def digest(rows, depth=0):
    """Of rows (key, slot and nonce, tag), ascending by key, that share `depth` digits."""
    if not rows:
        return None
    if len(rows) <= 8 or depth == 12:
        return keccak(b"\x00" + b"".join(u64(k) + wire[9:17] + tag for k, wire, tag in rows))
    message = b"\x01"
    for digit in range(16):
        part = digest([r for r in rows if r[0] >> (60 - 4 * depth) & 15 == digit], depth + 1)
        if part:
            message += bytes([digit]) + part
    return keccak(message)


def fingerprint(whole):
    return keccak(SALT + whole)[:8]


def sync():
    rows = sorted(row(channel, role, 9) for channel in range(1, 3001) if shard(channel) == 5 for role in (0, 1))
    whole = digest(rows)
    parts = {d: digest([r for r in rows if r[0] >> 60 == d], 1) for d in range(16)}
    bitmap = sum(1 << d for d, part in parts.items() if part)
    children = u16(bitmap) + b"".join(fingerprint(part) for part in parts.values() if part)
    first = [r for r in rows if r[0] >> 56 == 0x00]
    told = b"\x02" + prefix(5, [0, 0]) + u16(len(first)) + b"".join(wire + tag for _, wire, tag in first)
    compare = b"\x01" + prefix(5, []) + children
    return dict(
        channels=3000,
        shard=5,
        nonce=9,
        root_digest=whole.hex(),
        root_fingerprint=fingerprint(whole).hex(),
        roots_request=(b"\x01\x01" + DOMAIN + SALT + u64(1 << 5 | 1 << 6) + u64(1 << 5) + fingerprint(whole)).hex(),
        compare_request=(
            b"\x01\x02" + DOMAIN + SALT + u16(2) + compare + b"\x02" + prefix(6, [1, 15]) + u16(1024)
        ).hex(),
        roots_response=(b"\x01\x01" + u64(1 << 5) + u16(1) + compare).hex(),
        compare_response=(b"\x01\x02" + u16(1) + u16(1) + told).hex(),
    )


def refusals():
    numbers = [
        ("malformed", 1, 0, 0),
        ("other_domain", 2, 0, 0),
        ("unknown_channel", 3, 19_000_000, 0),
        ("not_live", 4, 0, 0),
        ("bad_signature", 5, 0, 0),
        ("older", 6, 4711, 0),
        ("conflict", 7, 4711, 0),
        ("too_fast", 8, 5000, 3_600_000),
        ("busy", 9, 0, 250),
        ("not_kept", 10, 0, 0),
        ("failed", 11, 0, 1000),
    ]
    return {name: (b"\x01\x02" + bytes([code]) + u64(one) + u64(two)).hex() for name, code, one, two in numbers}


def placement(number):
    towers = [account(secret) for secret in range(1, 11)]
    score = lambda tower: keccak(b"vrc placement 1" + DOMAIN + bytes([number]) + tower)[:8]
    ranked = sorted(towers, key=lambda tower: (-int.from_bytes(score(tower), "big"), tower))
    return dict(shard=number, towers=[t.hex() for t in towers], ranked=[t.hex() for t in ranked])


def main():
    hexadecimal = DOMAIN.hex()
    slots = sorted([(c, r) for c in (5, 6, 7) for r in (0, 1)], key=lambda s: key(*s))
    listed = u16(len(slots)) + b"".join(slot(*s) for s in slots)
    alert_digest, alert_bytes = alert()
    announcement_digest, announcement_bytes = announcement()
    topic = f"/vrc/{hexadecimal}/backups/1/5"
    signed = receipt()
    out = dict(
        _about="Messages of the tower network, made by network.py from docs/spec/network.md.",
        domain=hexadecimal,
        tower=TOWER.hex(),
        node_key=NODE_KEY.hex(),
        peer_id=(bytes([0x00, 0x24, 0x08, 0x01, 0x12, 0x20]) + NODE_KEY).hex(),
        envelope=ENVELOPE.hex(),
        salt=SALT.hex(),
        topics=dict(backups=topic, alerts=f"/vrc/{hexadecimal}/alerts/1", towers=f"/vrc/{hexadecimal}/towers/1"),
        message_id=keccak(topic.encode() + b"\x00" + ENVELOPE)[:20].hex(),
        slots=[
            dict(channel=c, role=r, shard=shard(c), key=u64(key(c, r)).hex())
            for c, r in [(1, 0), (1, 1), (2, 0), (5, 0), (6, 1), (1_000_000, 0), (2**56 - 1, 1)]
        ],
        alert=dict(signing_hash=alert_digest.hex(), bytes=alert_bytes.hex()),
        announcement=dict(signing_hash=announcement_digest.hex(), bytes=announcement_bytes.hex()),
        backup=dict(
            submit=(b"\x01\x01" + u64(18_999_999) + ENVELOPE).hex(),
            fetch=(b"\x01\x02" + DOMAIN + slot(5, 1)).hex(),
            status=(b"\x01\x03" + DOMAIN + listed).hex(),
            towers=(b"\x01\x04" + DOMAIN + TOWER).hex(),
            receipt_is=(b"\x01\x01" + signed).hex(),
            envelope_is=(b"\x01\x03" + ENVELOPE).hex(),
            nothing_is=b"\x01\x04".hex(),
            status_is=(b"\x01\x05" + u16(2) + b"\x00" + b"\x01" + signed).hex(),
            towers_are=(b"\x01\x06" + u16(1) + announcement_bytes[1:]).hex(),
        ),
        refusals=refusals(),
        sync=dict(
            sync(),
            want_request=(b"\x01\x03" + DOMAIN + listed).hex(),
            envelopes_response=(b"\x01\x03" + u16(1) + ENVELOPE).hex(),
            refused_response=(b"\x01\x04" + bytes([9]) + u64(0) + u64(250)).hex(),
        ),
        placement=[placement(0), placement(63)],
    )
    print(json.dumps(out, indent=1))


main()
