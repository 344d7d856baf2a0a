package canon

import "testing"

func TestParseAllocatesNothing(t *testing.T) {
	const head = "Host: app.test:8080\r\nUser-Agent: x\r\nAccept: */*\r\nCookie: a=b\r\n\r\n"
	for target, most := range map[string]float64{
		"/":                                     0,
		"/api/orders/7?expand=items&x=%20y":     0,
		"/static/app.3f9c.min.js":               0,
		"/files/annual%20report%202024.pdf?v=1": 5,
	} {
		r := request(t, "GET "+target+" HTTP/1.1\r\n"+head)
		if got := testing.AllocsPerRun(100, func() { _, _ = Parse(r) }); got > most {
			t.Errorf("Parse(%s) allocates %v times, want at most %v", target, got, most)
		}
	}
	bad := request(t, "GET /a/../b HTTP/1.1\r\n"+head)
	bad.RequestURI = "/a#b"
	if got := testing.AllocsPerRun(100, func() { _, _ = Parse(bad) }); got > 3 {
		t.Errorf("refusing allocates %v times, want at most 3", got)
	}
}

func BenchmarkParse(b *testing.B) {
	const head = "Host: app.test:8080\r\nUser-Agent: x\r\nAccept: */*\r\nAccept-Language: de\r\nAccept-Encoding: gzip\r\n" +
		"Sec-Fetch-Mode: navigate\r\nSec-Fetch-Site: none\r\nSec-Fetch-Dest: document\r\nReferer: x\r\nDnt: 1\r\nCookie: a=b\r\n\r\n"
	for name, target := range map[string]string{"ordinary": "/api/orders/7?expand=items", "escaped": "/files/annual%20report.pdf"} {
		b.Run(name, func(b *testing.B) {
			r := request(b, "GET "+target+" HTTP/1.1\r\n"+head)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse(r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
