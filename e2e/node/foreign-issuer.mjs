// panva/oidc-provider as an issuer that is not ours. It signs in whoever types
// a name, knows alice's and bob's groups, and runs until it is ended.
import Provider from 'oidc-provider'
import { setting } from './lib/check.mjs'

const issuer = setting('ISSUER')
const groups = { alice: ['admins'], bob: ['staff'] }

const provider = new Provider(issuer, {
  clients: [{
    client_id: setting('CLIENT_ID'),
    client_secret: setting('CLIENT_SECRET'),
    redirect_uris: [setting('REDIRECT_URI')],
    post_logout_redirect_uris: JSON.parse(process.env.SIGN_OUT_URIS ?? '[]'),
    grant_types: ['authorization_code', 'refresh_token']
  }],
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name', 'preferred_username'], groups: ['groups'] },
  // Claims in the ID token itself, as most commercial issuers do.
  conformIdTokenClaims: false,
  scopes: ['openid', 'offline_access'],
  ttl: {
    AccessToken: Number(process.env.ACCESS_TTL ?? 600),
    IdToken: Number(process.env.ACCESS_TTL ?? 600)
  },
  issueRefreshToken: async (ctx, client) => client.grantTypeAllowed('refresh_token'),
  rotateRefreshToken: true,
  // RP-Initiated Logout §2 wants GET and POST; POST is off here by default.
  enableHttpPostMethods: true,
  cookies: { long: { httpOnly: true, sameSite: 'none' } },
  // Nobody is asked for consent: the client is the operator's own.
  loadExistingGrant: async ctx => {
    const grant = new ctx.oidc.provider.Grant({ clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId })
    grant.addOIDCScope('openid email profile groups offline_access')
    await grant.save()
    return grant
  },
  findAccount: async (ctx, id) => ({
    accountId: id,
    claims: () => ({
      sub: id, name: id, preferred_username: id, email: `${id}@example.com`, email_verified: true, groups: groups[id] ?? []
    })
  })
})
provider.proxy = true
provider.on('server_error', (ctx, err) => console.error(err))

const server = provider.listen(Number(setting('PORT')), '127.0.0.1', () => console.log('listening'))
process.on('SIGTERM', () => {
  server.close()
  server.closeAllConnections()
})
