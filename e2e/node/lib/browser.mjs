// Chromium, as the system has it.
import { chromium } from 'playwright-core'
import { assert, setting } from './check.mjs'

const flags = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync'
]

// withBrowser runs work(browser) in a browser with a profile of its own and
// ends it whatever happens.
export async function withBrowser (work) {
  const browser = await chromium.launch({ executablePath: setting('CHROMIUM'), args: flags, timeout: 60_000 })
  try {
    return await work(browser)
  } finally {
    await browser.close()
  }
}

// visit makes a person: own cookies, and one page whose complaints are kept.
export async function visit (browser, options = {}) {
  const context = await browser.newContext(options)
  context.setDefaultTimeout(20_000)
  const page = await context.newPage()
  const complaints = []
  page.on('console', message => {
    if (/Content.Security.Policy|Refused to/i.test(message.text())) complaints.push(message.text())
  })
  page.on('pageerror', err => complaints.push(String(err)))
  return { context, page, complaints }
}

// signIn fills in the page that asks who is there, as a person would.
export async function signIn (page, name, password = setting('PASSWORD')) {
  await page.locator('input[autocomplete~="username"]').fill(name)
  await page.locator('input[autocomplete="current-password"]').fill(password)
  await page.locator('input[autocomplete="current-password"]').press('Enter')
}

// signOut takes the link and answers what is asked on the way.
export async function signOut (page, gateway) {
  await page.goto(`${gateway}/_gatehouse/sign-out`)
  for (let asked = 0; asked < 3; asked++) {
    const form = page.locator('form[method="post" i]:not(:has(input[type="password"]))')
    if (await form.count() === 0) return
    await Promise.all([
      page.waitForNavigation(),
      form.first().locator('button, input[type="submit"]').first().click()
    ])
  }
}

// at checks where the page is.
export async function at (page, url) {
  try {
    await page.waitForURL(url)
  } catch (err) {
    assert.fail(`want ${url}, am at ${page.url()}: ${(await page.locator('body').innerText()).slice(0, 400)}`)
  }
}
