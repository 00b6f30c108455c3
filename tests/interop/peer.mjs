// A node that is no Rust: connects to a tower, joins a topic, hands over an envelope, checks the receipt, fetches the
// envelope back, and hears and tells the next ones by gossip.
//
// Reads one JSON object from standard input; prints what it did, a JSON object a line; ends with 0 if all of it worked.
import { createLibp2p } from 'libp2p'
import { gossipsub } from '@libp2p/gossipsub'
import { identify } from '@libp2p/identify'
import { multiaddr } from '@multiformats/multiaddr'
import { noise } from '@chainsafe/libp2p-noise'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@chainsafe/libp2p-yamux'
import { concatBytes } from '@noble/hashes/utils.js'
import {
  BACKUP_PROTOCOL, answer, envelopeId, fetchSlot, framed, fromHex, messageId, signerOf, submit, toHex, unframed
} from './wire.mjs'

const WITHIN_MS = 20_000

const tell = (what, facts = {}) => console.log(JSON.stringify({ what, ...facts }))
const check = (holds, what) => { if (!holds) throw new Error(what) }

async function until (what, condition) {
  const deadline = Date.now() + WITHIN_MS
  for (;;) {
    const found = await condition()
    if (found) return found
    check(Date.now() < deadline, `never: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

async function input () {
  let text = ''
  for await (const chunk of process.stdin) text += chunk
  return JSON.parse(text)
}

const node = () => createLibp2p({
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  services: {
    identify: identify(),
    ping: ping(),
    gossip: gossipsub({
      globalSignaturePolicy: 'StrictNoSign',
      msgIdFn: (message) => messageId(message.topic, message.data),
      emitSelf: false,
      allowPublishToZeroTopicPeers: true
    })
  }
})

/// One request and one answer on one stream.
async function ask (peer, tower, request) {
  const stream = await peer.dialProtocol(tower, BACKUP_PROTOCOL)
  stream.send(framed(request))
  const closed = stream.close()
  const chunks = []
  for await (const chunk of stream) chunks.push(chunk.subarray())
  await closed
  return answer(unframed(concatBytes(...chunks)))
}

async function main () {
  const given = await input()
  const [first, second, third] = given.envelopes.map(fromHex)
  const peer = await node()
  const heard = []
  peer.services.gossip.addEventListener('message', ({ detail }) => {
    check(detail.type === 'unsigned', `a message that is ${detail.type}`)
    heard.push({ topic: detail.topic, data: toHex(detail.data) })
  })

  const connection = await peer.dial(multiaddr(given.place))
  const tower = connection.remotePeer
  tell('connected', { tower: tower.toString(), encryption: connection.encryption, muxer: connection.multiplexer })

  const known = await until('identify', async () => {
    const record = await peer.peerStore.get(tower)
    return record.protocols.includes(BACKUP_PROTOCOL) ? record : undefined
  })
  const agent = new TextDecoder().decode(known.metadata.get('AgentVersion'))
  check(agent.startsWith('vrc-tower/'), `agent ${agent}`)
  tell('identified', { agent, protocols: known.protocols.filter((name) => /vrc|meshsub/.test(name)) })
  tell('pinged', { ms: await peer.services.ping.ping(tower) })

  peer.services.gossip.subscribe(given.topic)
  await until('the tower in the mesh of the topic', () =>
    peer.services.gossip.getMeshPeers(given.topic).includes(tower.toString()))
  tell('joined', { topic: given.topic })

  const empty = await ask(peer, tower, fetchSlot(fromHex(given.domain), given.channel, given.role))
  check(empty.nothing, 'the slot is not empty at first')
  const { receipt, refused } = await ask(peer, tower, submit(first))
  check(receipt, `refused with code ${refused}`)
  const signer = toHex(signerOf(receipt))
  const facts = {
    signer, channel: Number(receipt.channel), nonce: Number(receipt.nonce), id: toHex(receipt.envelopeId), until: Number(receipt.until)
  }
  tell('receipt', facts)
  check(signer === given.account.toLowerCase(), `signed by ${signer}, not by the tower ${given.account}`)
  check(toHex(receipt.tower) === signer, 'it names another tower')
  check(receipt.chainId === BigInt(given.chain_id), 'another chain')
  check(toHex(receipt.vipe) === given.vipe.toLowerCase(), 'another vault')
  check(receipt.channel === BigInt(given.channel) && receipt.role === BigInt(given.role), 'another slot')
  check(facts.id === toHex(envelopeId(first, given.signature_len)), 'another envelope')
  check(facts.until > Date.now() / 1000, 'it is over')

  const held = await ask(peer, tower, fetchSlot(fromHex(given.domain), given.channel, given.role))
  check(held.envelope && toHex(held.envelope) === toHex(first), 'what is fetched back is not what was submitted')
  tell('fetched', { bytes: held.envelope.length })

  // The tower tells of what it took.
  await until('the envelope by gossip', () => heard.some((message) => message.data === toHex(first)))
  tell('heard', { messages: heard.length })
  // And takes what it is told.
  await peer.services.gossip.publish(given.topic, second)
  await until('the second envelope in its slot', async () => {
    const now = await ask(peer, tower, fetchSlot(fromHex(given.domain), given.channel, given.role))
    return now.envelope && toHex(now.envelope) === toHex(second)
  })
  tell('told', { bytes: second.length })
  // An older one is refused, by its code.
  const older = await ask(peer, tower, submit(third))
  check(older.refused === 6, `an older envelope: ${JSON.stringify(older)}`)
  tell('refused', { code: older.refused })
  await peer.stop()
  tell('done')
}

await main()
