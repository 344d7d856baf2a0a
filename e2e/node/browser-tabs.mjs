// Ten tabs of one browser ask for ten pages, and all sign in at once.
import { assert, setting, step } from './lib/check.mjs'
import { at, signIn, visit, withBrowser } from './lib/browser.mjs'

const gateway = setting('GATEHOUSE_URL')

await withBrowser(async browser => {
  const { context } = await visit(browser)
  const tabs = await step('ten tabs open', () => Promise.all(
    Array.from({ length: 10 }, async (_, n) => {
      const page = await context.newPage()
      await page.goto(`${gateway}/tab/${n}?n=${n}`)
      assert.match(await page.title(), /sign in/i, `tab ${n}`)
      return page
    })
  ))
  await step('all sign in at once and come back to their own page', () => Promise.all(
    tabs.map(async (page, n) => {
      await signIn(page, 'alice')
      await at(page, `${gateway}/tab/${n}?n=${n}`)
      assert.equal(await page.locator('#path').textContent(), `/tab/${n}`)
    })
  ))
  await step('no attempt is left behind', async () => {
    const names = (await context.cookies(gateway)).map(c => c.name)
    assert.deepEqual(names.filter(n => n.includes('-login-')), [], `cookies are ${names}`)
  })
})
