// A browser without scripts: cookies, redirects and forms over node:http.
// (fetch would send Sec-Fetch-Mode: cors of its own accord.)
import http from 'node:http'
import https from 'node:https'

const unescape = text => text
  .replaceAll('&#34;', '"').replaceAll('&quot;', '"').replaceAll('&#39;', "'").replaceAll('&#43;', '+')
  .replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&')

function attributes (tag) {
  const found = {}
  for (const [, name, a, b, c] of tag.matchAll(/([a-z-]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))/gi)) {
    found[name.toLowerCase()] = unescape(a ?? b ?? c)
  }
  return found
}

export class Visitor {
  #jars = new Map() // host → Map of cookies

  send (method, url, { body, headers = {} } = {}) {
    url = new URL(url)
    const jar = this.#jars.get(url.host) ?? new Map()
    this.#jars.set(url.host, jar)
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ')
    return new Promise((resolve, reject) => {
      const request = (url.protocol === 'https:' ? https : http).request(url, {
        method,
        headers: {
          accept: 'text/html,*/*;q=0.8',
          'sec-fetch-mode': 'navigate',
          'sec-fetch-dest': 'document',
          'sec-fetch-site': method === 'GET' ? 'none' : 'same-origin',
          ...(cookie ? { cookie } : {}),
          ...(body === undefined ? {} : { origin: url.origin, 'content-type': 'application/x-www-form-urlencoded' }),
          ...headers
        }
      }, response => {
        for (const line of response.headers['set-cookie'] ?? []) this.#keep(jar, line)
        const parts = []
        response.on('data', part => parts.push(part))
        response.on('error', reject)
        response.on('end', () => resolve({
          url, status: response.statusCode, headers: response.headers, body: Buffer.concat(parts).toString()
        }))
      })
      request.on('error', reject)
      request.end(body)
    })
  }

  #keep (jar, line) {
    const [pair, ...rest] = line.split(';')
    const at = pair.indexOf('=')
    const name = pair.slice(0, at).trim()
    const gone = rest.some(a => /^\s*max-age=(0|-\d+)\s*$/i.test(a))
    if (gone) jar.delete(name)
    else jar.set(name, pair.slice(at + 1).trim())
  }

  // open follows redirects to the end, or to the first address below stop.
  async open (url, stop) {
    return this.#follow(await this.send('GET', url), stop)
  }

  async #follow (answer, stop) {
    for (let hop = 0; hop < 20; hop++) {
      const location = answer.headers.location
      if (answer.status < 300 || answer.status > 399 || !location) return answer
      const next = new URL(location, answer.url)
      if (stop && next.href.startsWith(stop)) return { ...answer, callback: next }
      answer = await this.send('GET', next)
    }
    throw new Error('more than 20 redirects')
  }

  // submit answers the first form of a page, with values of ours by kind of
  // field: name and password.
  async submit (page, values = {}, stop) {
    const found = /<form\b([^>]*)>([\s\S]*?)<\/form>/i.exec(page.body)
    if (!found) throw new Error(`no form at ${page.url} (${page.status}):\n${page.body}`)
    const { action = '', method = 'get' } = attributes(found[1])
    const form = new URLSearchParams()
    for (const [, tag, text] of found[2].matchAll(/<(input|button)\b([^>]*)>/gi)) {
      const at = attributes(text)
      if (!at.name || at.type === 'checkbox') continue
      if (at.type === 'password') form.set(at.name, values.password ?? '')
      else if (at.type === 'hidden') form.set(at.name, at.value ?? '')
      else if (tag.toLowerCase() === 'button' || at.type === 'submit') form.has(at.name) || form.set(at.name, at.value ?? '')
      else form.set(at.name, values.name ?? at.value ?? '')
    }
    const target = new URL(action, page.url)
    if (method.toLowerCase() !== 'post') {
      target.search = form
      return this.open(target, stop)
    }
    return this.#follow(await this.send('POST', target, { body: String(form) }), stop)
  }
}
