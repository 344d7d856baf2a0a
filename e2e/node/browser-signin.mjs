// A person in Chromium: sign-in, the way back, groups, fetch, sign-out.
import { assert, setting, step } from './lib/check.mjs'
import { at, signIn, signOut, visit, withBrowser } from './lib/browser.mjs'

const gateway = setting('GATEHOUSE_URL')

await withBrowser(async browser => {
  const alice = await visit(browser)
  const bob = await visit(browser)

  await step('/public/ is open', async () => {
    const response = await alice.page.goto(`${gateway}/public/hello?x=1`)
    assert.equal(response.status(), 200)
    assert.equal(alice.page.url(), `${gateway}/public/hello?x=1`)
  })

  await step('a fetch without a session gets 401 and the way to sign in', async () => {
    const answer = await alice.page.evaluate(async () => {
      const response = await fetch('/headers')
      return { status: response.status, type: response.headers.get('content-type'), body: await response.json() }
    })
    assert.equal(answer.status, 401)
    assert.match(answer.type, /^application\/problem\+json/)
    assert.ok(answer.body.login_url.includes('/_gatehouse/sign-in'), `login_url is ${answer.body.login_url}`)
  })

  await step('/ leads to sign-in and back, with its query', async () => {
    await alice.page.goto(`${gateway}/?q=a%20b&r=%2Fx`)
    assert.match(await alice.page.title(), /sign in/i)
    await signIn(alice.page, 'alice')
    await at(alice.page, `${gateway}/?q=a%20b&r=%2Fx`)
    assert.equal(await alice.page.locator('#query').textContent(), 'q=a%20b&r=%2Fx')
  })

  await step('alice reaches /admin/', async () => {
    const response = await alice.page.goto(`${gateway}/admin/`)
    assert.equal(response.status(), 200)
    assert.match(await alice.page.locator('h1').textContent(), /administrators/)
  })

  await step('bob signs in by e-mail and gets a 403 that he can report', async () => {
    await bob.page.goto(`${gateway}/admin/?x=1`)
    const refused = bob.page.waitForResponse(r => r.url() === `${gateway}/admin/?x=1` && r.status() !== 302)
    await signIn(bob.page, 'bob@example.com')
    const response = await refused
    assert.equal(response.status(), 403)
    await bob.page.waitForLoadState()
    const text = await bob.page.locator('main').innerText()
    assert.match(text, /[0-9A-Za-z_-]{12,}/, 'no request id on the page')
    assert.doesNotMatch(text, /\badmins\b/, 'the page names the group')
  })

  await step('the session cookie is out of reach of scripts', async () => {
    assert.doesNotMatch(await alice.page.evaluate(() => document.cookie), /gatehouse/)
  })

  await step('sign-out ends the session; Back shows nothing', async () => {
    const before = await alice.context.cookies(gateway)
    await alice.page.goto(`${gateway}/headers`)
    await signOut(alice.page, gateway)
    assert.doesNotMatch(await alice.page.locator('body').innerText(), /"X-Forwarded-User"/)
    await alice.page.goBack()
    assert.doesNotMatch(await alice.page.locator('body').innerText(), /"X-Forwarded-User"/)
    await alice.page.goto(`${gateway}/`)
    assert.match(await alice.page.title(), /sign in/i)
    // The same cookies in another browser: nobody.
    const thief = await visit(browser)
    await thief.context.addCookies(before)
    await thief.page.goto(`${gateway}/headers`)
    assert.match(await thief.page.title(), /sign in/i, 'cookies copied before sign-out still open the application')
  })

  await step('no page breaks its own Content-Security-Policy', async () => {
    assert.deepEqual([...alice.complaints, ...bob.complaints], [])
  })
})
