// What every script needs: its settings, and checks that name what they saw.
import assert from 'node:assert/strict'

export { assert }

// setting reads one environment variable; without it the script cannot run.
export function setting (name) {
  const value = process.env[name]
  if (value === undefined || value === '') throw new Error(`${name} is not set`)
  return value
}

// step names what is being checked, so that a failure says where it happened.
export async function step (name, check) {
  try {
    return await check()
  } catch (err) {
    // The stack has the message in it already, so that is what must change.
    err.stack = `${name}: ${err.stack}`
    throw err
  }
}

// eventually asks probe until it returns something true.
export async function eventually (what, probe, patience = 20_000) {
  for (const end = Date.now() + patience; Date.now() < end;) {
    const found = await probe()
    if (found) return found
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  throw new Error(`never happened: ${what}`)
}
