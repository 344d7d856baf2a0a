// Package notify sends messages to people: mail by SMTP, text messages by a
// signed webhook.
//
// It answers: has this message been taken, and what became of it. It owns the
// list of messages, their texts, the outbox and the senders.
//
// Order of events: whoever changes something calls Outbox.Enqueue inside the
// transaction of the change, so that there is a message exactly when there is a
// change. The message is stored sealed, recipient and all. After the commit
// Outbox.Run claims it for a while, renders it, hands it to the sender of its
// channel, and erases it with an event message.sent. What cannot be delivered
// now is tried again, later each time; what is refused for good or has expired
// is erased with an event message.failed. Of two processes on one database the
// one that claims a message sends it; a claim ends by itself, so that a message
// outlives the process that died with it. It may then arrive twice, under one
// Message-ID: delivery is at least once.
//
// It must not know who may be told what: the domain decides that, and makes the
// codes and links. It tells no caller whether an address exists, or waits for a
// server while somebody waits for a page.
package notify
