package gatehouse.routes

# route reports  (testdata/shop.yaml:14)
allow["reports"] if {
	group_admins
	email_domain_example_com
	not_groups_contractors_or_interns
}

# groups: [admins]  (testdata/shop.yaml:9, testdata/shop.yaml:14, testdata/shop.yaml:36, …)
group_admins if "admins" in input.user.groups

# email_domains: [example.com]  (testdata/shop.yaml:15)
email_domain_example_com if input.user.email_domain == "example.com"

# groups: [contractors, interns]  (testdata/shop.yaml:16)
groups_contractors_or_interns if {
	some group in input.user.groups
	group in {"contractors", "interns"}
}

# not: {groups: [contractors, interns]}  (testdata/shop.yaml:16)
not_groups_contractors_or_interns if {
	input.user.groups
	not groups_contractors_or_interns
}
