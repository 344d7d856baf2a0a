// The whole way without JavaScript, by keyboard only.
import { assert, setting, step } from './lib/check.mjs'
import { at, signOut, visit, withBrowser } from './lib/browser.mjs'

const gateway = setting('GATEHOUSE_URL')

await withBrowser(async browser => {
  const { page } = await visit(browser, { javaScriptEnabled: false })

  await step('a wrong password is announced and the name kept', async () => {
    await page.goto(`${gateway}/deep/path?n=1`)
    const name = page.locator('input[autocomplete~="username"]')
    const password = page.locator('input[autocomplete="current-password"]')
    await name.fill('carol')
    await password.fill('not-it')
    await password.press('Enter')
    await page.locator('[role="alert"]').waitFor()
    assert.equal(await name.inputValue(), 'carol')
    assert.equal(await password.inputValue(), '')
    assert.match(await page.title(), /^error/i)
  })

  await step('every field has a label', async () => {
    const count = await page.locator('form input:not([type="hidden"])').count()
    for (let i = 0; i < count; i++) {
      const id = await page.locator('form input:not([type="hidden"])').nth(i).getAttribute('id')
      assert.equal(await page.locator(`label[for="${id}"]`).count(), 1, `field ${id} has no label`)
    }
  })

  await step('the keyboard is enough', async () => {
    await page.locator('input[autocomplete~="username"]').focus()
    await page.keyboard.press('Tab')
    await page.keyboard.type(setting('PASSWORD'))
    await page.keyboard.press('Enter')
    await at(page, `${gateway}/deep/path?n=1`)
  })

  await step('sign-out works too', async () => {
    await signOut(page, gateway)
    await page.goto(`${gateway}/`)
    assert.match(await page.title(), /sign in/i)
  })
})
