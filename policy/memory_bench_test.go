package policy

import (
	"context"
	"fmt"
	"testing"
)

func BenchmarkMemory(b *testing.B) {
	for _, routes := range []int{10, 10_000} {
		var rules []Rule
		for i := range routes {
			cond := Condition{Groups: []string{fmt.Sprint("g", i%100), "staff"}}
			rules = append(rules, Rule{Route: fmt.Sprint("r", i), Allow: Allow{When: &cond}})
		}
		p, err := Compile(context.Background(), Config{Memory: true}, rules)
		if err != nil {
			b.Fatal(err)
		}
		q := Query{Route: routes / 2, Identity: person()}
		b.Run(fmt.Sprintf("remembered/%d_routes", routes), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p.Decide(b.Context(), q)
			}
		})
		b.Run(fmt.Sprintf("remembered_by_all/%d_routes", routes), func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					p.Decide(context.Background(), q)
				}
			})
		})
		p.memory = nil
		b.Run(fmt.Sprintf("first/%d_routes", routes), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p.Decide(b.Context(), q)
			}
		})
	}
}
