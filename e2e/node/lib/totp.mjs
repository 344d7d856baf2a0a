// An authenticator app: codes of six digits (RFC 6238), each shown once.
import { createHmac } from 'node:crypto'

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

// secretOf reads Base32, with or without spaces.
function secretOf (text) {
  let bits = ''
  for (const c of text.replaceAll(' ', '')) bits += alphabet.indexOf(c).toString(2).padStart(5, '0')
  return Buffer.from(bits.match(/.{8}/g).map(b => parseInt(b, 2)))
}

export class App {
  #secret
  #last = 0

  constructor (text) { this.#secret = secretOf(text) }

  next () {
    this.#last = Math.max(this.#last + 1, Math.floor(Date.now() / 30_000))
    const counter = Buffer.alloc(8)
    counter.writeBigUInt64BE(BigInt(this.#last))
    const sum = createHmac('sha1', this.#secret).update(counter).digest()
    const at = sum[sum.length - 1] & 0xf
    return String((sum.readUInt32BE(at) & 0x7fffffff) % 1_000_000).padStart(6, '0')
  }
}
