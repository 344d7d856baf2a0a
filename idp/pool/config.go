package pool

import (
	"regexp"
	"slices"

	"gatehouse/internal/conf"
)

// The kinds of names that people may sign in with.
const (
	ByUsername = "username"
	ByEmail    = "email"
	ByPhone    = "phone"
)

// Config is the section `idp.pool`: what the pool knows of a person.
type Config struct {
	// SignInWith is what people may type as their name: username, email, phone.
	// An e-mail address or a phone number counts once it is verified. Default
	// username and email.
	SignInWith []string `yaml:"sign_in_with"`
	// Required are attributes that nobody signs up without, such as email, name
	// or custom:team. Users that operators make may lack them. Default email.
	Required []string `yaml:"required"`
	// Custom are further attributes, at most 50.
	Custom []CustomAttribute `yaml:"custom"`
}

// Defaults sets what absent keys mean.
func (c *Config) Defaults() {
	*c = Config{SignInWith: []string{ByUsername, ByEmail}, Required: []string{"email"}}
}

var customName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,20}$`)

// Check reports what is wrong with the section.
func (c *Config) Check(r *conf.Report) {
	if len(c.SignInWith) == 0 {
		r.Errorf(&c.SignInWith, "idp.pool.sign_in_with is empty, so nobody could sign in")
	}
	for i, kind := range c.SignInWith {
		if kind != ByUsername && kind != ByEmail && kind != ByPhone {
			r.Errorf(&c.SignInWith[i], "idp.pool.sign_in_with names %q, want username, email or phone", kind)
		}
	}
	if len(c.Custom) > maxCustom {
		r.Errorf(&c.Custom, "idp.pool.custom has %d attributes, want at most %d", len(c.Custom), maxCustom)
	}
	seen := map[string]bool{}
	for i := range c.Custom {
		a := &c.Custom[i]
		if !customName.MatchString(a.Name) {
			r.Errorf(&a.Name, "the name of a custom attribute has 1 to %d letters, digits, _ or -, without custom: before it", maxCustomName)
		}
		if seen[a.Name] {
			r.Errorf(&a.Name, "custom attribute %q stands here twice", a.Name)
		}
		seen[a.Name] = true
		a.check(r)
	}
	names := NewSchema(*c).Names()
	for i, name := range c.Required {
		if !slices.Contains(names, name) {
			r.Errorf(&c.Required[i], "idp.pool.required names %q, which is neither a standard nor a custom attribute", name)
		}
	}
}

func (a *CustomAttribute) check(r *conf.Report) {
	if !slices.Contains([]AttributeType{TypeString, TypeNumber, TypeDateTime, TypeBoolean}, a.Type) {
		r.Errorf(&a.Type, "custom attribute %s has type %q, want string, number, datetime or boolean", a.Name, a.Type)
	}
	bounded := a.Type == TypeString || a.Type == TypeNumber
	if !bounded && (a.Min != nil || a.Max != nil) {
		r.Errorf(&a.Type, "custom attribute %s: min and max are for strings and numbers", a.Name)
	}
	if a.Min != nil && a.Max != nil && *a.Min > *a.Max {
		r.Errorf(&a.Min, "custom attribute %s: min is more than max", a.Name)
	}
	if a.Type == TypeString && (a.Min != nil && *a.Min < 0 || a.Max != nil && (*a.Max < 0 || *a.Max > maxValue)) {
		r.Errorf(&a.Max, "custom attribute %s: a string has 0 to %d characters", a.Name, maxValue)
	}
}
