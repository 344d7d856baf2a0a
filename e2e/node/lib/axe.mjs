// Accessibility of a page, as far as axe-core can tell.
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { assert, step } from './check.mjs'

const axe = readFileSync(fileURLToPath(import.meta.resolve('axe-core/axe.min.js')), 'utf8')
// target-size (WCAG 2.5.8) only runs when its tag is named.
const runOnly = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']

const widths = [320, 1280]

const describe = v => `${v.id}: ${v.nodes.map(n => `${n.html} ${n.failureSummary}`).join(' | ')}`

// In forced colours the browser chooses every colour, and axe is told the ones
// it threw away.
const rules = look => ({ 'color-contrast': { enabled: look.forcedColors !== 'active' } })

// scan fails unless axe-core finds nothing on the page, narrow and wide. look is
// what the context was made with.
export async function scan (page, what, look = {}) {
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
