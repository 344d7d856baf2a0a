// panva/openid-client as a relying party of the embedded provider.
import * as client from 'openid-client'
import { assert, setting, step } from './lib/check.mjs'
import { Visitor } from './lib/visitor.mjs'

const issuer = new URL(setting('ISSUER'))
const redirect = setting('REDIRECT_URI')
const signedOut = setting('SIGN_OUT_URI')
const options = issuer.protocol === 'http:' ? { execute: [client.allowInsecureRequests] } : {}

const discover = (id, secret) => client.discovery(issuer, id, secret, secret ? undefined : client.None(), options)

// authorize walks through the provider's pages and returns the callback URL.
async function authorize (config, visitor, parameters, name = 'alice') {
  const url = client.buildAuthorizationUrl(config, { redirect_uri: redirect, ...parameters })
  let answer = await visitor.open(url, redirect)
  for (let page = 0; page < 3 && !answer.callback; page++) {
    answer = await visitor.submit(answer, { name, password: setting('PASSWORD') }, redirect)
  }
  assert.ok(answer.callback, `authorize ends with ${answer.status} at ${answer.url}:\n${answer.body}`)
  return answer.callback
}

async function codeFlow (config, visitor, scope) {
  const verifier = client.randomPKCECodeVerifier()
  const state = client.randomState()
  const nonce = client.randomNonce()
  const callback = await authorize(config, visitor, {
    scope, state, nonce, code_challenge: await client.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256'
  })
  const checks = { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true }
  return { callback, checks, tokens: await client.authorizationCodeGrant(config, callback, checks) }
}

const rejects = (code, promise) => assert.rejects(promise, err => {
  assert.equal(err.error ?? err.cause?.error, code, String(err))
  return true
})

for (const [id, secret] of [[setting('CLIENT_ID'), setting('CLIENT_SECRET')], [setting('PUBLIC_CLIENT_ID'), undefined]]) {
  const kind = secret ? 'confidential client' : 'public client'
  const config = await step(`${kind}: discovery`, () => discover(id, secret))
  const visitor = new Visitor()
  const { tokens, callback, checks } = await step(`${kind}: code and PKCE`, () => codeFlow(config, visitor, 'openid email profile'))

  await step(`${kind}: ID token`, async () => {
    const claims = tokens.claims()
    assert.equal(claims.aud, id)
    assert.equal(claims.email, 'alice@example.com')
    assert.ok(callback.searchParams.get('iss'), 'no iss in the response (RFC 9207)')
  })
  await step(`${kind}: userinfo`, async () => {
    const info = await client.fetchUserInfo(config, tokens.access_token, tokens.claims().sub)
    assert.equal(info.email, 'alice@example.com')
    assert.equal(info.sub, tokens.claims().sub)
  })
  const fresh = await step(`${kind}: refresh`, async () => {
    const answer = await client.refreshTokenGrant(config, tokens.refresh_token)
    assert.notEqual(answer.access_token, tokens.access_token)
    assert.equal(answer.claims()?.sub ?? tokens.claims().sub, tokens.claims().sub)
    await client.fetchUserInfo(config, answer.access_token, tokens.claims().sub)
    return answer
  })
  await step(`${kind}: a code works once, and its second use ends what it gave`, async () => {
    await rejects('invalid_grant', client.authorizationCodeGrant(config, callback, checks))
    await rejects('invalid_grant', client.refreshTokenGrant(config, fresh.refresh_token ?? tokens.refresh_token))
  })
  await step(`${kind}: a wrong verifier is refused`, async () => {
    const verifier = client.randomPKCECodeVerifier()
    const callback = await authorize(config, visitor, {
      scope: 'openid', state: 's-1234567890', code_challenge: await client.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256'
    })
    await rejects('invalid_grant', client.authorizationCodeGrant(config, callback, {
      pkceCodeVerifier: client.randomPKCECodeVerifier(), expectedState: 's-1234567890'
    }))
  })
  await step(`${kind}: sign-out at the provider`, async () => {
    const { tokens } = await codeFlow(config, visitor, 'openid')
    const url = client.buildEndSessionUrl(config, {
      id_token_hint: tokens.id_token, post_logout_redirect_uri: signedOut, state: 'bye-1234'
    })
    let answer = await visitor.open(url, signedOut)
    for (let page = 0; page < 2 && !answer.callback; page++) answer = await visitor.submit(answer, {}, signedOut)
    assert.equal(answer.callback.searchParams.get('state'), 'bye-1234')
    // The provider has forgotten this browser: it asks for the password again.
    const again = await visitor.open(client.buildAuthorizationUrl(config, {
      redirect_uri: redirect, scope: 'openid', state: 's-1234567890',
      code_challenge: await client.calculatePKCECodeChallenge(client.randomPKCECodeVerifier()), code_challenge_method: 'S256'
    }), redirect)
    assert.equal(again.callback, undefined, 'the provider still knows the browser')
    await rejects('invalid_grant', client.refreshTokenGrant(config, tokens.refresh_token))
  })
}

const job = await step('machine: discovery', () => discover(setting('JOB_ID'), setting('JOB_SECRET')))
await step('machine: client credentials', async () => {
  const tokens = await client.clientCredentialsGrant(job, { scope: 'orders.read' })
  assert.equal(tokens.scope ?? 'orders.read', 'orders.read')
  assert.equal(tokens.refresh_token, undefined)
  assert.equal(tokens.id_token, undefined)
})
await step('machine: a scope it may not have', () =>
  rejects('invalid_scope', client.clientCredentialsGrant(job, { scope: 'openid' })))
await step('machine: a wrong secret', async () =>
  rejects('invalid_client', client.clientCredentialsGrant(await discover(setting('JOB_ID'), 'not-the-secret'), { scope: 'orders.read' })))

await step('a redirect URI that is not registered stays at the provider', async () => {
  const config = await discover(setting('CLIENT_ID'), setting('CLIENT_SECRET'))
  for (const uri of [`${redirect}/x`, `${redirect}?x=1`, redirect.replace('127.0.0.1', '127.0.0.1.evil.example'), 'javascript:alert(1)']) {
    const url = client.buildAuthorizationUrl(config, { redirect_uri: uri, scope: 'openid', state: 's-1234567890' })
    const answer = await new Visitor().open(url, redirect)
    assert.equal(answer.callback, undefined, `${uri} is redirected to`)
    assert.ok(answer.status >= 400, `${uri} is answered ${answer.status}`)
  }
})
