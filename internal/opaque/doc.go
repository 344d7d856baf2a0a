// Package opaque answers one question: what does a value look like that means
// nothing to whoever holds it? It owns the random text of tickets, tokens, ids and
// browsers' secrets, and the one spelling of bytes as text. It must not know what
// any of them is for.
package opaque
