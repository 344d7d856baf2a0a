// Groups that grant scopes, and resources that take one scope each, in Chromium.
import { execFileSync } from 'node:child_process'
import { assert, eventually, setting, step } from './lib/check.mjs'
import { at, signIn, visit, withBrowser } from './lib/browser.mjs'

const gateway = setting('GATEHOUSE_URL')
const opens = { alice: [true, false], bob: [false, true], carol: [true, true], dave: [false, false] }

// fetched asks as a script of the page does.
const fetched = (page, path) => page.evaluate(async path => (await fetch(path)).status, path)

await withBrowser(async browser => {
  const people = {}
  for (const [name, may] of Object.entries(opens)) {
    const person = people[name] = await visit(browser)
    await step(`${name} signs in on the way to resource 1`, async () => {
      const target = `${gateway}/resource-1/a%20b?q=1&r=%2Fx`
      await person.page.goto(target)
      assert.match(await person.page.title(), /sign in/i)
      const answered = person.page.waitForResponse(r => r.url() === target && r.status() !== 302)
      await signIn(person.page, name)
      assert.equal((await answered).status(), may[0] ? 200 : 403)
      await at(person.page, target)
    })
    await step(`${name} opens what the groups grant and nothing else`, async () => {
      for (const n of [1, 2]) {
        const want = may[n - 1] ? 200 : 403
        const response = await person.page.goto(`${gateway}/resource-${n}/x`)
        assert.equal(response.status(), want, `resource ${n}`)
        if (want === 403) {
          assert.equal(response.headers()['www-authenticate'], undefined, 'a person is sent a challenge for programs')
          assert.doesNotMatch(await person.page.locator('main').innerText(), /resource\d\.read/, 'the page names the scope')
        }
      }
      // Our own pages may not fetch anything; the application's may.
      await person.page.goto(`${gateway}/`)
      assert.deepEqual(await Promise.all([1, 2].map(n => fetched(person.page, `/resource-${n}/x`))), may.map(yes => yes ? 200 : 403))
    })
  }

  await step('alice leaves the group, and the open page is worth nothing', async () => {
    const { page } = people.alice
    await page.goto(`${gateway}/resource-1/x`)
    execFileSync(setting('GATEHOUSE'), ['group', 'remove-member', 'group-1', 'alice', '--config', setting('CONFIG')])
    await eventually('alice is signed out', async () => await fetched(page, '/resource-1/x') === 401, 2_000)
    await page.goto(`${gateway}/resource-1/x`)
    assert.match(await page.title(), /sign in/i, 'no password is asked for')
    const answered = page.waitForResponse(r => r.url() === `${gateway}/resource-1/x` && r.status() !== 302)
    await signIn(page, 'alice')
    assert.equal((await answered).status(), 403)
  })

  await step('the others stay', async () => {
    assert.equal(await fetched(people.bob.page, '/resource-2/x'), 200)
    assert.equal(await fetched(people.carol.page, '/resource-1/x'), 200)
  })

  await step('no page breaks its own Content-Security-Policy', async () => {
    assert.deepEqual(Object.values(people).flatMap(p => p.complaints), [])
  })
})
