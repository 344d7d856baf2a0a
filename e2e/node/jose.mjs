// panva/jose verifies access and ID token against the published keys.
import * as jose from 'jose'
import { assert, setting, step } from './lib/check.mjs'

const issuer = setting('ISSUER')
const access = setting('ACCESS_TOKEN')
const id = process.env.ID_TOKEN
const audience = process.env.AUDIENCE

const discovered = await (await fetch(`${issuer}/.well-known/openid-configuration`)).json()
assert.equal(discovered.issuer, issuer)
const keys = jose.createRemoteJWKSet(new URL(discovered.jwks_uri))
const algorithms = discovered.id_token_signing_alg_values_supported

await step('access token', async () => {
  const { payload, protectedHeader } = await jose.jwtVerify(access, keys, { issuer, algorithms })
  assert.ok(protectedHeader.kid, 'no kid')
  assert.equal(payload.token_use, 'access')
  assert.equal(typeof payload.client_id, 'string')
  assert.equal(typeof payload.scope, 'string')
  assert.equal(typeof payload.jti, 'string')
  assert.equal(payload.aud, undefined, 'an access token has no aud (Cognito shape)')
  assert.ok(payload.exp > payload.iat)
})

if (id) {
  await step('ID token', async () => {
    const { payload } = await jose.jwtVerify(id, keys, { issuer, audience, algorithms })
    assert.equal(payload.token_use, 'id')
    assert.deepEqual(payload['cognito:groups'], ['admins'])
    assert.equal(payload['cognito:username'], 'alice')
    assert.equal(payload.email, 'alice@example.com')
    assert.equal(payload.email_verified, true)
    assert.ok(payload.auth_time <= payload.iat)
  })
}

await step('a changed token is refused', async () => {
  const [head, body, signature] = access.split('.')
  const claims = JSON.parse(Buffer.from(body, 'base64url'))
  const forged = Buffer.from(JSON.stringify({ ...claims, scope: 'everything' })).toString('base64url')
  await assert.rejects(jose.jwtVerify([head, forged, signature].join('.'), keys, { issuer }), jose.errors.JWSSignatureVerificationFailed)
})

await step('no published key tells its private part', async () => {
  const { keys: published } = await (await fetch(discovered.jwks_uri)).json()
  assert.ok(published.length > 0)
  for (const key of published) {
    for (const secret of ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k']) assert.equal(key[secret], undefined, `key ${key.kid} has ${secret}`)
    assert.ok(['RS256', 'ES256', 'EdDSA'].includes(key.alg), `key ${key.kid} has alg ${key.alg}`)
  }
})
