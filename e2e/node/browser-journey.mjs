// From sign-up to the end of the account, in Chromium, with scripts and without;
// only passkeys need them. With SCAN=yes axe-core looks at every page on the way.
import { authenticator } from './lib/authenticator.mjs'
import { scan } from './lib/axe.mjs'
import { at, signIn, signOut, visit, withBrowser } from './lib/browser.mjs'
import { assert, setting, step } from './lib/check.mjs'
import { App } from './lib/totp.mjs'

const gateway = setting('GATEHOUSE_URL')
const issuer = setting('ISSUER')
const target = `${gateway}/page`
const passwords = [setting('PASSWORD'), setting('PASSWORD_2')]

// letter waits for the newest mail about something.
async function letter (to, about) {
  const response = await fetch(`${setting('MAIL_URL')}/?${new URLSearchParams({ to, about })}`)
  assert.equal(response.status, 200, await response.clone().text())
  return response.json()
}

async function journey (browser, name, scripts) {
  const mail = `${name}@example.com`
  const { context, page, complaints } = await visit(browser, { javaScriptEnabled: scripts })
  const device = scripts && await authenticator(context, page)
  // Without autofill, which uses a passkey as soon as the device is awake.
  await page.addInitScript(() => {
    if (window.PublicKeyCredential) window.PublicKeyCredential.isConditionalMediationAvailable = async () => false
  })
  const look = async what => { if (scripts && process.env.SCAN === 'yes') await scan(page, what) }
  const press = text => page.getByRole('button', { name: text, exact: true }).click()
  const take = text => page.getByRole('link', { name: text, exact: true }).click()
  const fill = (label, text) => page.getByLabel(label, { exact: true }).fill(text)
  const heading = text => page.getByRole('heading', { level: 1, name: text }).waitFor()
  const wrong = () => page.locator('[role="alert"]:visible').waitFor()
  // leave signs out. What changes a factor ends the gateway's session, and a look
  // at a page begins another in the provider's.
  const leave = async () => {
    await page.goto(target)
    await signOut(page, gateway)
    await page.goto(target)
    await page.locator('input[autocomplete~="username"]').waitFor()
  }
  const begin = async password => {
    await leave()
    await signIn(page, name, password)
  }

  await step('sign-up', async () => {
    await page.goto(target)
    await take('Sign up')
    await page.locator('input[autocomplete="new-password"]').waitFor()
    await look('sign-up')
    await fill('E-mail address', mail)
    await fill('Username', name)
    await fill('Name', 'Erin Example')
    await fill('Password', name)
    await press('Sign up')
    await wrong()
    assert.match(await page.title(), /^Error: /)
    assert.equal(await page.getByLabel('E-mail address', { exact: true }).inputValue(), mail)
    assert.equal(await page.getByLabel('Password', { exact: true }).inputValue(), '')
    await look('sign-up with an error')
    await fill('Password', passwords[0])
    await press('Sign up')
    await heading('Check your messages')
    await look('the code of a sign-up')
  })

  await step('confirmation', async () => {
    const { code, link } = await letter(mail, 'code to sign up')
    const elsewhere = await visit(browser, { javaScriptEnabled: scripts })
    assert.equal((await elsewhere.page.goto(link)).status(), 200)
    if (scripts && process.env.SCAN === 'yes') await scan(elsewhere.page, 'the link of a sign-up')
    await elsewhere.context.close()
    await fill('Code', code === '000000' ? '000001' : '000000')
    await press('Confirm')
    await wrong()
    await look('a wrong code')
    await fill('Code', code)
    await press('Confirm')
    await signIn(page, mail, passwords[0])
    await at(page, target)
  })

  const { app, codes } = await step('an authenticator app', async () => {
    await page.goto(`${issuer}/account/security`)
    await press('Set up: Authenticator app')
    await heading('Set up an authenticator app')
    await look('the set-up of an app')
    const app = new App(await page.locator('main code').innerText())
    await fill('Code', app.next())
    await press('Continue')
    await heading('Keep your recovery codes')
    await look('recovery codes')
    const codes = await page.locator('main li code').allInnerTexts()
    assert.equal(codes.length, 10)
    await press('I have saved them')
    await at(page, `${issuer}/account/security`)
    await look('second factors')
    return { app, codes }
  })

  await step('sign-in with it', async () => {
    await begin(passwords[0])
    await heading('Enter your code')
    await look('a code is asked for')
    await fill('Code', app.next())
    await press('Continue')
    await at(page, target)
  })

  await step('sign-in with a recovery code', async () => {
    await begin(passwords[0])
    await press('Recovery code')
    await heading('Enter a recovery code')
    await look('a recovery code is asked for')
    await fill('Code', codes[0])
    await press('Continue')
    await at(page, target)
  })

  await step('a forgotten password', async () => {
    await leave()
    await take('Forgotten your password?')
    await page.getByRole('button', { name: 'Send a link' }).waitFor()
    await look('forgotten password')
    await fill('Username or e-mail', mail)
    await press('Send a link')
    await heading('Check your mail')
    await look('a link is on its way')
    await page.goto((await letter(mail, 'Reset your password')).link)
    await heading('Choose a new password')
    await look('a new password')
    await fill('New password', 'short')
    await press('Set password')
    await wrong()
    await look('a new password with an error')
    await fill('New password', passwords[1])
    await press('Set password')
    await heading('Done')
    await look('the password is set')
    await page.goto(target)
    await signIn(page, name, passwords[0])
    await wrong()
    await signIn(page, name, passwords[1])
    await press('Recovery code')
    await fill('Code', codes[0])
    await press('Continue')
    await wrong() // it has been used
    await fill('Code', codes[1])
    await press('Continue')
    await at(page, target)
  })

  if (scripts) {
    await step('a passkey, and sign-in with it alone', async () => {
      await page.goto(`${issuer}/account/security`)
      await press('Set up: Passkey')
      await heading('Set up a passkey')
      await look('the set-up of a passkey')
      await device.awake(true)
      await press('Create a passkey')
      await at(page, `${issuer}/account/security`)
      assert.equal((await device.credentials()).length, 1)
      await device.awake(false)
      await look('second factors, with a passkey')
      await leave()
      await page.getByRole('button', { name: 'Use a passkey' }).waitFor()
      await device.awake(true)
      await press('Use a passkey')
      await at(page, target)
      await device.awake(false)
    })
  }

  await step('the pages of the account', async () => {
    for (const [path, title] of [
      ['', 'Your account'], ['/email', 'Your e-mail address'], ['/email?step=code', 'Type in the code'], ['/password', 'Change your password'],
      ['/sessions', 'Where you are signed in'], ['/delete', 'Delete your account?']
    ]) {
      assert.equal((await page.goto(`${issuer}/account${path}`)).status(), 200)
      await heading(title)
      await look(`/account${path}`)
    }
  })

  await step('the end of the account', async () => {
    await page.goto(`${issuer}/account/delete`)
    await fill('Password', passwords[0])
    await press(`Delete ${name}`)
    await wrong()
    await look('the end of the account with an error')
    await fill('Password', passwords[1])
    await press(`Delete ${name}`)
    await heading('Your account is deleted')
    await look('the account is deleted')
    await letter(mail, 'account was deleted')
    await page.goto(target)
    await signIn(page, name, passwords[1])
    await wrong()
    if (!scripts) return
    await page.goto(target)
    await device.awake(true)
    await press('Use a passkey')
    await wrong()
    await device.awake(false)
    await look('a passkey of nobody')
  })

  await step('no page breaks its own Content-Security-Policy', async () => assert.deepEqual(complaints, []))
  await context.close()
}

await withBrowser(async browser => {
  await step('with scripts', () => journey(browser, 'erin', true))
  await step('without scripts', () => journey(browser, 'finn', false))
})
