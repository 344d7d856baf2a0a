// Chromium's virtual authenticator.

// authenticator gives the page a device that keeps passkeys and verifies its
// owner. Asleep, it answers nothing.
export async function authenticator (context, page) {
  const cdp = await context.newCDPSession(page)
  await cdp.send('WebAuthn.enable')
  const { authenticatorId } = await cdp.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true,
      isUserVerified: true, automaticPresenceSimulation: false
    }
  })
  const awake = enabled => cdp.send('WebAuthn.setAutomaticPresenceSimulation', { authenticatorId, enabled })
  return { awake, credentials: async () => (await cdp.send('WebAuthn.getCredentials', { authenticatorId })).credentials }
}
