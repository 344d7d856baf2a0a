package mfa

// TOTPCode is what an authenticator app shows.
var TOTPCode = totpCode
