// Passkeys in Chromium, with its virtual authenticator: set up, as a second
// factor, alone, by autofill, and removed; on pages that axe-core approves of.
import { authenticator } from './lib/authenticator.mjs'
import { scan } from './lib/axe.mjs'
import { assert, setting, step } from './lib/check.mjs'
import { at, signIn, visit, withBrowser } from './lib/browser.mjs'

const gateway = setting('GATEHOUSE_URL')
const security = `${setting('ISSUER')}/account/security`

await withBrowser(async browser => {
  const { context, page, complaints } = await visit(browser)
  const device = await authenticator(context, page)

  await step('a passkey is set up', async () => {
    await page.goto(security)
    await signIn(page, 'bob')
    await at(page, security)
    await scan(page, 'the security page')
    await page.getByRole('button', { name: 'Set up: Authenticator app' }).click()
    await page.getByRole('textbox', { name: 'Code' }).waitFor()
    await scan(page, 'the set-up of an app')
    await page.goto(security)
    await page.getByRole('button', { name: 'Set up: Passkey' }).click()
    await page.getByLabel('Name of the device').fill('laptop')
    await device.awake(true)
    await page.getByRole('button', { name: 'Create a passkey' }).click()
    await page.getByRole('button', { name: 'I have saved them' }).waitFor()
    await scan(page, 'recovery codes')
    await page.getByRole('button', { name: 'I have saved them' }).click()
    await at(page, security)
    assert.match(await page.locator('main').innerText(), /laptop/)
    await scan(page, 'the security page with a factor')
    assert.equal((await device.credentials()).length, 1)
    await device.awake(false)
  })

  await step('it is asked for besides the password', async () => {
    await context.clearCookies()
    await page.goto(`${gateway}/page`)
    await signIn(page, 'bob')
    const button = page.getByRole('button', { name: 'Use your passkey' })
    await button.waitFor()
    await scan(page, 'a passkey as the second factor')
    assert.equal(await page.getByText('Passkeys need JavaScript').isVisible(), false)
    await device.awake(true)
    await button.click()
    await at(page, `${gateway}/page`)
    await device.awake(false)
  })

  await step('it signs in alone', async () => {
    await context.clearCookies()
    await page.goto(`${gateway}/page`)
    const button = page.getByRole('button', { name: 'Use a passkey' })
    await button.waitFor()
    await device.awake(true)
    await button.click()
    await at(page, `${gateway}/page`)
    await device.awake(false)
  })

  await step('and by autofill', async () => {
    await context.clearCookies()
    await device.awake(true)
    await page.goto(`${gateway}/page?by=autofill`)
    await at(page, `${gateway}/page?by=autofill`)
    await device.awake(false)
  })

  await step('it is removed, which signs out', async () => {
    await page.goto(security)
    await page.getByRole('button', { name: /^Remove Passkey/ }).click()
    await page.locator('input[autocomplete~="username"]').waitFor()
    await signIn(page, 'bob')
    await at(page, security)
    assert.match(await page.locator('main').innerText(), /You have none/)
  })

  await step('no page breaks its own Content-Security-Policy', async () => assert.deepEqual(complaints, []))
})
