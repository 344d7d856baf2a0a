// awslabs/aws-jwt-verify: the generic verifier on our tokens, the load
// balancer's verifier on our identity header. Both fetch keys over HTTPS.
import { AlbJwtVerifier, JwtVerifier } from 'aws-jwt-verify'
import { assert, setting, step } from './lib/check.mjs'

const issuer = setting('ISSUER')
const clientId = setting('CLIENT_ID')
const discovered = await (await fetch(`${issuer}/.well-known/openid-configuration`)).json()
const jwksUri = discovered.jwks_uri

await step('access token', async () => {
  const verifier = JwtVerifier.create({
    issuer, jwksUri, audience: null,
    customJwtCheck: ({ payload }) => {
      if (payload.client_id !== clientId || payload.token_use !== 'access') throw new Error('not an access token of this client')
    }
  })
  const payload = await verifier.verify(setting('ACCESS_TOKEN'))
  assert.equal(payload.token_use, 'access')
  await assert.rejects(verifier.verify(setting('ID_TOKEN')))
})

await step('ID token', async () => {
  const verifier = JwtVerifier.create({ issuer, jwksUri, audience: clientId })
  const payload = await verifier.verify(setting('ID_TOKEN'))
  assert.equal(payload['cognito:username'], 'alice')
  await assert.rejects(verifier.verify(setting('ID_TOKEN'), { audience: 'another-client' }))
})

await step('x-amzn-oidc-data', async () => {
  const settings = {
    albArn: setting('ALB_ARN'), issuer: setting('ISSUER'), clientId: setting('GATEWAY_CLIENT_ID'), jwksUri: setting('ALB_KEYS')
  }
  const data = setting('OIDC_DATA')
  const payload = await AlbJwtVerifier.create(settings).verify(data)
  assert.equal(payload.sub, setting('OIDC_IDENTITY'))
  assert.equal(payload.email, 'alice@example.com')
  assert.ok(payload.exp * 1000 - Date.now() <= 121_000, 'it lives longer than two minutes')
  // A lax Python decoder needs the padding that JWTs leave out: ours need none.
  for (const part of data.split('.').slice(0, 2)) assert.equal(part.length % 4, 0, 'header or payload would need padding')
  await assert.rejects(AlbJwtVerifier.create({ ...settings, clientId: 'another' }).verify(data))
  await assert.rejects(AlbJwtVerifier.create({ ...settings, albArn: settings.albArn + 'x' }).verify(data))
})

await step('one token is not the other', async () => {
  const verifier = JwtVerifier.create({ issuer, jwksUri, audience: null })
  await assert.rejects(verifier.verify(setting('OIDC_DATA')), 'the identity header passes for a token')
})
