// Every page of ours, in light, dark and forced colours, wide and narrow:
// axe-core finds nothing.
import { scan } from './lib/axe.mjs'
import { assert, eventually, setting } from './lib/check.mjs'
import { signIn, signOut, visit, withBrowser } from './lib/browser.mjs'

const gateway = setting('GATEHOUSE_URL')
const looks = [
  { name: 'light', colorScheme: 'light' },
  { name: 'dark', colorScheme: 'dark' },
  { name: 'forced colours', colorScheme: 'dark', forcedColors: 'active' }
]
await withBrowser(async browser => {
  for (const { name, ...look } of looks) {
    const { context, page } = await visit(browser, look)
    const scanAt = async (what, path, status) => {
      const response = await page.goto(gateway + path)
      if (status) assert.equal(response.status(), status, `${what}: status`)
      await scan(page, `${what}, ${name}`, look)
    }
    await scanAt('a callback of no attempt', '/oauth2/idpresponse?code=x&state=y', 400)
    await scanAt('sign-in', '/', 200)
    await signIn(page, 'bob', 'not-it')
    await page.locator('[role="alert"]').waitFor()
    await scan(page, `sign-in with an error, ${name}`, look)
    await signIn(page, 'bob')
    await page.waitForURL(`${gateway}/`)
    await scanAt('the demo application', '/', 200)
    await scanAt('403', '/admin/', 403)
    await scanAt('404', '/_gatehouse/nothing', 404)
    await scanAt('a wrong request to the provider', '/_gatehouse/idp/oauth2/authorize', 400)
    await scanAt('me', '/_gatehouse/me', 200)
    await scanAt('sign-out', '/_gatehouse/sign-out')
    await signOut(page, gateway)
    await scan(page, `signed out, ${name}`, look)
    await page.goto(`${gateway}/_gatehouse/idp/forgot`)
    await page.getByLabel('Username or e-mail').fill('carol')
    await page.getByRole('button', { name: 'Send a link' }).click()
    await page.getByRole('heading', { name: 'Check your mail' }).waitFor()
    await page.goto(`${gateway}/_gatehouse/idp/demo/mail`)
    await signIn(page, 'alice')
    await eventually('a letter comes', async () => {
      await page.goto(`${gateway}/_gatehouse/idp/demo/mail`)
      return await page.locator('pre').count() > 0
    })
    await scan(page, `messages of the demo, ${name}`, look)
    await context.close()
  }
  const broken = process.env.BROKEN_URL
  if (broken) {
    for (const { name, ...look } of looks) {
      const { page } = await visit(browser, look)
      const response = await page.goto(`${broken}/public/x`)
      assert.equal(response.status(), 502)
      await scan(page, `502, ${name}`, look)
    }
  }
})
