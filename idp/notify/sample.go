package notify

import "time"

// Samples returns messages of a kind with made-up data, one for each way it can
// be sent; nil for an unknown kind.
func Samples(k Kind) []Message {
	at := time.Date(2030, 1, 2, 3, 4, 0, 0, time.UTC)
	data := Data{App: "Example", User: "dana", At: at}
	account := "https://login.example.com/account"
	proof := "https://login.example.com/confirm?ticket=1fUhGZ0yKcWq3TtXbE7rVs"
	coded, linked := data, data
	coded.Code, coded.Host = "482913", "login.example.com"
	linked.Link = proof
	var all []Message
	add := func(c Channel, d Data) {
		m := Message{Kind: k, Channel: c, To: "dana@example.com", UserID: "u1", Lang: english, Data: d}
		if c == SMS {
			m.To = "+4930123456"
		}
		if kinds[k].need != nothing {
			m.Expires = at.Add(10 * time.Minute)
		}
		all = append(all, m)
	}
	for _, c := range kinds[k].channels {
		switch kinds[k].need {
		case codeOrLink:
			add(c, coded)
			if c == Email {
				both := coded
				both.Link = proof
				add(c, linked)
				add(c, both)
			}
		case codeOnly:
			add(c, coded)
		case linkOnly:
			add(c, linked)
		case nothing:
			d := data
			d.Old, d.New, d.Factor, d.Device = "dana@example.com", "dana@example.org", "authenticator app", "Firefox on Linux"
			if k != Test && k != AccountDeleted {
				d.Link = account
			}
			add(c, d)
		}
	}
	return all
}
