// Every page of ours, in light, dark and forced colours, wide and narrow:
// axe-core finds nothing.
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { assert, setting, step } from './lib/check.mjs'
import { signIn, signOut, visit, withBrowser } from './lib/browser.mjs'

const gateway = setting('GATEHOUSE_URL')
const axe = readFileSync(fileURLToPath(import.meta.resolve('axe-core/axe.min.js')), 'utf8')
// target-size (WCAG 2.5.8) only runs when its tag is named.
const runOnly = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']

const looks = [
  { name: 'light', colorScheme: 'light' },
  { name: 'dark', colorScheme: 'dark' },
  { name: 'forced colours', colorScheme: 'dark', forcedColors: 'active' }
]
const widths = [320, 1280]

const describe = v => `${v.id}: ${v.nodes.map(n => `${n.html} ${n.failureSummary}`).join(' | ')}`

// In forced colours the browser chooses every colour, and axe is told the ones
// it threw away.
const rules = look => ({ 'color-contrast': { enabled: look.forcedColors !== 'active' } })

async function scan (page, what, look) {
  for (const width of widths) {
    await page.setViewportSize({ width, height: 800 })
    await step(`${what} at ${width} px`, async () => {
      await page.evaluate(axe)
      const found = await page.evaluate(options => window.axe.run(document, options), { runOnly, rules: rules(look) })
      assert.deepEqual(found.violations.map(describe), [])
      assert.ok(found.passes.length > 5, 'axe looked at nothing')
      const wide = await page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth)
      assert.equal(wide, false, 'the page scrolls sideways')
    })
  }
}

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
