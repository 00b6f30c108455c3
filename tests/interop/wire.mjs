// The bytes of docs/spec/network.md, sections 1 to 4, written from that page alone.
import { keccak_256 } from '@noble/hashes/sha3.js'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { bytesToHex, concatBytes, hexToBytes, utf8ToBytes } from '@noble/hashes/utils.js'

export const BACKUP_PROTOCOL = '/vrc/backup/1'
const VERSION = 1
const [SUBMIT, FETCH] = [1, 2]
const [RECEIPT, REFUSED, ENVELOPE, NOTHING] = [1, 2, 3, 4]
const ENVELOPE_LEN = 519
const RECEIPT_LEN = 169

export const fromHex = (text) => hexToBytes(text.replace(/^0x/, ''))
export const toHex = (bytes) => '0x' + bytesToHex(bytes)

const u64 = (value) => {
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value))
  return bytes
}

/// 32 bytes with the number at their end.
const word = (value) => fromHex(BigInt(value).toString(16).padStart(64, '0'))

/// the first 20 bytes of keccak256(topic, a zero byte, data).
export const messageId = (topic, data) =>
  keccak_256(concatBytes(utf8ToBytes(topic), new Uint8Array(1), data)).slice(0, 20)

/// a length of four bytes, then the message.
export const framed = (message) => {
  const length = new Uint8Array(4)
  new DataView(length.buffer).setUint32(0, message.length)
  return concatBytes(length, message)
}

export const unframed = (bytes) => {
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0)
  if (bytes.length !== 4 + length) throw new Error(`${bytes.length} bytes with a length of ${length}`)
  return bytes.slice(4)
}

export const submit = (envelope) => concatBytes(Uint8Array.of(VERSION, SUBMIT), u64(0), envelope)

export const fetchSlot = (domain, channel, role) =>
  concatBytes(Uint8Array.of(VERSION, FETCH), domain, u64(channel), Uint8Array.of(role))

/// An answer of section 4.
export const answer = (bytes) => {
  if (bytes[0] !== VERSION) throw new Error(`version ${bytes[0]}`)
  const body = bytes.slice(2)
  const exactly = (length) => {
    if (body.length !== length) throw new Error(`kind ${bytes[1]} with ${body.length} bytes`)
    return body
  }
  switch (bytes[1]) {
    case RECEIPT: return { receipt: receipt(exactly(RECEIPT_LEN)) }
    case REFUSED: return { refused: exactly(17)[0] }
    case ENVELOPE: return { envelope: exactly(ENVELOPE_LEN) }
    case NOTHING: exactly(0); return { nothing: true }
    default: throw new Error(`kind ${bytes[1]}`)
  }
}

const receipt = (bytes) => {
  let at = 0
  const take = (length) => bytes.slice(at, (at += length))
  const number = (length) => BigInt(toHex(take(length)))
  return {
    chainId: number(8),
    vipe: take(20),
    channel: number(8),
    role: number(1),
    nonce: number(8),
    envelopeId: take(32),
    tower: take(20),
    until: number(8),
    signature: take(64)
  }
}

const DOMAIN = 'EIP712Domain(string name,string version,uint256 chainId)'
const STRUCT =
  'Receipt(address vipe,uint56 channelId,uint8 role,uint56 nonce,bytes32 envelopeId,address tower,uint64 until)'
const hash = (text) => keccak_256(utf8ToBytes(text))
const address = (bytes) => concatBytes(new Uint8Array(12), bytes)

/// The account that signed a receipt.
export const signerOf = (r) => {
  const separator = keccak_256(concatBytes(hash(DOMAIN), hash('VRC Tower'), hash('1'), word(r.chainId)))
  const struct = keccak_256(concatBytes(
    hash(STRUCT), address(r.vipe), word(r.channel), word(r.role), word(r.nonce), r.envelopeId, address(r.tower), word(r.until)
  ))
  const digest = keccak_256(concatBytes(Uint8Array.of(0x19, 0x01), separator, struct))
  // EIP-2098: the parity of y is the top bit of s.
  const rs = r.signature.slice()
  const parity = rs[32] >> 7
  rs[32] &= 0x7f
  const signature = secp256k1.Signature.fromBytes(rs, 'compact').addRecoveryBit(parity)
  if (signature.hasHighS()) throw new Error('s is in the upper half')
  const point = signature.recoverPublicKey(digest).toBytes(false)
  return keccak_256(point.slice(1)).slice(12)
}

/// Keccak-256 of all fields but the signature, which is the last 80 bytes.
export const envelopeId = (envelope, signatureLength) =>
  keccak_256(envelope.slice(0, envelope.length - signatureLength))
