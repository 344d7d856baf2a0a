// Signing in again, because it was too long ago or not strong enough, in Chromium.
import { setTimeout as sleep } from 'node:timers/promises'
import { assert, setting, step } from './lib/check.mjs'
import { at, signIn, visit, withBrowser } from './lib/browser.mjs'

const gateway = setting('GATEHOUSE_URL')
const issuer = setting('ISSUER')
const wait = Number(setting('WAIT'))

// answer of the page at url, once the browser gets there.
const answered = (page, url) => page.waitForResponse(r => r.url() === url && r.status() !== 302)

// session is the gateway's session cookie; it changes with each sign-in.
async function session (context) {
  const { port } = new URL(gateway)
  const found = (await context.cookies(gateway)).find(c => c.name === `gatehouse-${port}`)
  return found?.value
}

async function whoami (context) {
  const response = await context.request.get(`${gateway}/_gatehouse/me.json`)
  return response.status() === 200 ? JSON.stringify(await response.json()) : `${response.status()}`
}

// asked checks that the browser is at the issuer's page, which knows the name.
async function asked (page, name) {
  assert.ok(page.url().startsWith(issuer), `at ${page.url()}, want the sign-in page`)
  assert.equal(await page.locator('input[autocomplete~="username"]').inputValue(), name)
}

await withBrowser(async browser => {
  const { context, page, complaints } = await visit(browser)
  const target = `${gateway}/fresh/a%20b?q=1&r=%2Fx&&s`

  await step('a fresh sign-in opens the page, with its query', async () => {
    await page.goto(target)
    assert.match(await page.title(), /sign in/i)
    const response = answered(page, target)
    await signIn(page, 'alice')
    assert.equal((await response).status(), 200)
    await at(page, target)
  })

  const loginURL = await step('after a while a fetch gets 401, and everything else still opens', async () => {
    await page.goto(`${gateway}/`)
    await sleep(wait)
    const answer = await page.evaluate(async () => {
      const response = await fetch('/fresh/x?from=fetch')
      return { status: response.status, challenge: response.headers.get('www-authenticate'), body: await response.json() }
    })
    assert.equal(answer.status, 401)
    assert.match(answer.challenge, /error="insufficient_user_authentication"/)
    assert.match(answer.challenge, /max_age="4"/)
    assert.equal(await page.evaluate(async () => (await fetch('/headers')).status), 200)
    return answer.body.login_url
  })

  await step('its login_url leads to the sign-in page and to the page that was asked for', async () => {
    await page.goto(new URL(loginURL, gateway).href)
    await asked(page, 'alice')
    const end = `${gateway}/fresh/x?from=fetch`
    const response = answered(page, end)
    await signIn(page, 'alice')
    assert.equal((await response).status(), 200)
    await at(page, end)
  })

  await step('another person is refused, and the first one stays', async () => {
    await sleep(wait)
    const before = await session(context)
    await page.goto(target)
    await asked(page, 'alice')
    const refused = page.waitForResponse(r => r.url().startsWith(`${gateway}/oauth2/idpresponse`))
    await signIn(page, 'bob')
    assert.equal((await refused).status(), 403)
    await page.waitForLoadState()
    assert.match(await page.locator('main').innerText(), /somebody else signed in/i)
    assert.match(await whoami(context), /"alice"/)
    assert.equal(await session(context), before, 'the session was replaced')
    assert.equal((await page.goto(`${gateway}/headers`)).status(), 200)
  })

  await step('the same person opens the page after all, in a new session', async () => {
    const before = await session(context)
    await page.goto(target)
    await asked(page, 'alice')
    const response = answered(page, target)
    await signIn(page, 'alice')
    assert.equal((await response).status(), 200)
    await at(page, target)
    assert.notEqual(await session(context), before, 'the session is the one of before')
  })

  for (const path of ['/strong/x?q=1', '/classed/x?q=1']) {
    await step(`${path}: what the issuer cannot do is said once, without going round in circles`, async () => {
      for (let visitNumber = 0; visitNumber < 2; visitNumber++) {
        const seen = []
        const note = response => { if (response.request().isNavigationRequest()) seen.push(`${response.status()} ${new URL(response.url()).pathname}`) }
        page.on('response', note)
        const response = await page.goto(`${gateway}${path}`)
        page.off('response', note)
        assert.equal(response.status(), 403, seen.join('\n'))
        assert.ok(seen.length <= 4, `${seen.length} answers:\n${seen.join('\n')}`)
        assert.match(await page.locator('main').innerText(), /did not include what this page asks for/i)
        assert.match(await whoami(context), /"alice"/)
      }
    })
  }

  await step('a stranger signs in once and is told as well', async () => {
    const stranger = await visit(browser)
    const seen = []
    stranger.page.on('response', r => { if (r.request().isNavigationRequest()) seen.push(`${r.status()} ${new URL(r.url()).pathname}`) })
    await stranger.page.goto(`${gateway}/strong/x`)
    const refused = stranger.page.waitForResponse(r => r.status() === 403)
    await signIn(stranger.page, 'bob')
    await refused
    await stranger.page.waitForLoadState()
    assert.match(await stranger.page.locator('main').innerText(), /did not include what this page asks for/i)
    assert.ok(seen.length <= 10, `${seen.length} answers:\n${seen.join('\n')}`)
    assert.match(await whoami(stranger.context), /"bob"/)
    complaints.push(...stranger.complaints)
  })

  await step('no attempt is left behind', async () => {
    const names = (await context.cookies(gateway)).map(c => c.name)
    assert.deepEqual(names.filter(n => n.includes('-login-')), [], `cookies are ${names}`)
  })

  await step('no page breaks its own Content-Security-Policy', async () => assert.deepEqual(complaints, []))
})
