// Passkeys on the pages of the provider: asks the browser for one and sends
// what it answers with the form of the page. Without this script the pages work
// as they are; they only offer no passkey.
(() => {
  "use strict";
  const form = document.querySelector("form[data-passkey]");
  const button = form && form.querySelector("button[data-passkey-button]");
  if (!form || !button || !window.PublicKeyCredential || !navigator.credentials) return;

  const bytes = (text) =>
    Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  const text = (buffer) =>
    btoa(Array.from(new Uint8Array(buffer), (b) => String.fromCharCode(b)).join(""))
      .replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const withBytes = (list) => (list || []).map((c) => ({ ...c, id: bytes(c.id) }));

  // options returns what the page asks for, with bytes where the browser wants
  // them.
  const options = () => {
    const asked = JSON.parse(form.dataset.options).publicKey;
    asked.challenge = bytes(asked.challenge);
    if (asked.user) asked.user.id = bytes(asked.user.id);
    if (asked.allowCredentials) asked.allowCredentials = withBytes(asked.allowCredentials);
    if (asked.excludeCredentials) asked.excludeCredentials = withBytes(asked.excludeCredentials);
    return asked;
  };

  // plain returns a credential as JSON (WebAuthn Level 3, §5.1).
  const plain = (c) => {
    const r = c.response;
    const response = { clientDataJSON: text(r.clientDataJSON) };
    if (r.attestationObject) {
      response.attestationObject = text(r.attestationObject);
      response.transports = r.getTransports ? r.getTransports() : [];
    } else {
      response.authenticatorData = text(r.authenticatorData);
      response.signature = text(r.signature);
      if (r.userHandle) response.userHandle = text(r.userHandle);
    }
    return {
      id: c.id, rawId: text(c.rawId), type: c.type, response,
      authenticatorAttachment: c.authenticatorAttachment || undefined,
      clientExtensionResults: c.getClientExtensionResults(),
    };
  };

  const send = (credential) => {
    form.elements.passkey.value = JSON.stringify(plain(credential));
    // Not requestSubmit: the other fields need not be filled in.
    form.submit();
  };
  const say = (message) => {
    const place = form.querySelector("[data-passkey-problem]");
    place.textContent = message;
    place.hidden = false;
  };

  let waiting = null; // the autofill that is waiting in the background
  const autofill = async () => {
    if (form.dataset.passkey !== "signin" || !PublicKeyCredential.isConditionalMediationAvailable) return;
    if (!(await PublicKeyCredential.isConditionalMediationAvailable())) return;
    waiting = new AbortController();
    try {
      send(await navigator.credentials.get({ publicKey: options(), mediation: "conditional", signal: waiting.signal }));
    } catch {
      // Nobody has asked for anything: there is nothing to say.
    }
  };

  button.addEventListener("click", async () => {
    if (waiting) waiting.abort();
    await autofilled; // browsers answer one question at a time
    try {
      const publicKey = options();
      send(form.dataset.passkey === "create"
        ? await navigator.credentials.create({ publicKey })
        : await navigator.credentials.get({ publicKey }));
    } catch (problem) {
      say(problem.name === "InvalidStateError"
        ? form.dataset.known
        : form.dataset.failed);
    }
  });
  button.hidden = false;
  const absent = form.querySelector("[data-passkey-absent]");
  if (absent) absent.hidden = true;
  const autofilled = autofill();
})();
