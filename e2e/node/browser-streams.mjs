// Web socket and event stream of a page: closed before sign-in, open after it,
// closed again by sign-out in another tab.
import { assert, eventually, setting, step } from './lib/check.mjs'
import { at, signIn, signOut, visit, withBrowser } from './lib/browser.mjs'

const gateway = setting('GATEHOUSE_URL')

// Both run in the page; they leave what happens in window.seen.
const openSocket = () => {
  window.seen ??= { messages: [], events: [] }
  const socket = new WebSocket(`ws://${location.host}/ws`)
  socket.onopen = () => socket.send('hello')
  socket.onmessage = m => window.seen.messages.push(m.data)
  socket.onclose = e => { window.seen.closed = e.code }
}
const openEvents = () => {
  window.seen ??= { messages: [], events: [] }
  const source = new EventSource('/events')
  source.onmessage = e => window.seen.events.push(e.data)
  source.onerror = () => { window.seen.state = source.readyState }
}
const seen = page => page.evaluate(() => window.seen ?? {})

await withBrowser(async browser => {
  const { context, page } = await visit(browser)

  await step('not before sign-in', async () => {
    await page.goto(`${gateway}/public/x`)
    await page.evaluate(openSocket)
    await page.evaluate(openEvents)
    await eventually('the socket is refused', async () => (await seen(page)).closed)
    await eventually('the stream is refused for good', async () => (await seen(page)).state === 2)
    const { messages, events } = await seen(page)
    assert.deepEqual([messages, events], [[], []])
  })

  await step('after sign-in', async () => {
    await page.goto(`${gateway}/live`)
    await signIn(page, 'bob')
    await at(page, `${gateway}/live`)
    await page.evaluate(openSocket)
    await page.evaluate(openEvents)
    await eventually('the echo comes', async () => (await seen(page)).messages.includes('hello'))
    await eventually('two events come', async () => (await seen(page)).events.length >= 2)
    assert.equal((await seen(page)).closed, undefined)
  })

  await step('sign-out in another tab closes both', async () => {
    await signOut(await context.newPage(), gateway)
    const code = await eventually('the socket closes', async () => (await seen(page)).closed, 5_000)
    assert.equal(code, 1008, 'close code')
    await eventually('the stream ends', async () => (await seen(page)).state === 2, 10_000)
  })
})
